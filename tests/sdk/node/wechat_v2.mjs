// npm `wechatpay-axios-plugin` over v2 against the sandbox and the shop, with MD5 and with HMAC-SHA256.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import sdk from 'wechatpay-axios-plugin';
import { Endpoint, run, send, task } from './counterpart.mjs';

const { Aes, Formatter, Hash, Transformer, Wechatpay } = sdk;
const account = task.merchant.wechat;
const total = '1999';
const signType = task.mode;

function client(changes = {}) {
  return new Wechatpay({
    baseURL: `${account.base_url}/`,
    mchid: account.mchid,
    secret: account.api_v2_key,
    // of no use to v2, but the constructor wants them
    serial: account.certificate_serial,
    privateKey: task.merchantFile(account.private_key_file),
    certs: { [account.public_key_id]: task.merchantFile(account.public_key_file) },
    proxy: false,
    timeout: 15_000,
    ...changes,
  });
}

const wxpay = client();

/** What a notification tells, by the SDK's own functions; `null` if it is not believed. */
function believe(_, body) {
  const told = Transformer.toObject(body);
  if (told.req_info) { // of a refund: sealed, not signed
    const key = Hash.md5(account.api_v2_key);
    return { ...told, refund: Transformer.toObject(Aes.AesEcb.decrypt(told.req_info, key)) };
  }
  const type = told.sign.length === 64 ? Hash.ALGO_HMAC_SHA256 : Hash.ALGO_MD5;
  return type === signType && Hash.equals(Hash.sign(type, told, account.api_v2_key), told.sign) ? told : null;
}

const success = Transformer.toXml({ return_code: 'SUCCESS', return_msg: 'OK' });
const endpoint = await Endpoint.open(believe, (told) => told.transaction_id ?? told.refund.refund_id, [200, success]);

/** The fields of an answer; the SDK throws on refusals. */
const ask = (asked) => asked.then(({ data }) => data, (error) => {
  if (error.code !== 'EV2_RES_STATUS_CODE_NOT_SUCESS') throw error;
  return error.response.data;
});

const signedBy = (more) => ({ appid: account.appid, mch_id: account.mchid, sign_type: signType, ...more });
const create = (name, more) => ask(wxpay.v2.pay.unifiedorder.post(signedBy({
  body: '台灯 <lamp> & more', out_trade_no: task.number(name), total_fee: total, spbill_create_ip: '127.0.0.1',
  notify_url: endpoint.url, trade_type: 'NATIVE', product_id: '1', ...more,
})));
const queryAs = (who, number) => ask(who.v2.pay.orderquery.post(signedBy({ out_trade_no: number })));
const query = (number) => queryAs(wxpay, number);
const close = (number) => ask(wxpay.v2.pay.closeorder.post(signedBy({ out_trade_no: number })));
const refund = (number, refundNo, fee) => ask(wxpay.v2.secapi.pay.refund.post(signedBy({
  out_trade_no: number, out_refund_no: refundNo, total_fee: total, refund_fee: fee, notify_url: endpoint.url,
})));
const queryRefund = (more) => ask(wxpay.v2.pay.refundquery.post(signedBy(more)));

async function created(name) {
  assert.equal((await create(name)).result_code, 'SUCCESS');
  return task.number(name);
}

async function paid(name) {
  const number = await created(name);
  await task.pay(number);
  assert.equal((await endpoint.next()).out_trade_no, number);
  return number;
}

async function refused(asked, code) {
  const answer = await asked;
  assert.deepEqual([answer.result_code, answer.err_code], ['FAIL', code], JSON.stringify(answer));
  return code;
}

/** A notification of a payment at the shop, signed by the SDK with the merchant's key, as v2 has it. */
function notification(changes = {}) {
  const fields = {
    return_code: 'SUCCESS', result_code: 'SUCCESS', appid: account.appid, mch_id: account.mchid, nonce_str: Formatter.nonce(),
    openid: 'oBuyer', is_subscribe: 'N', trade_type: 'NATIVE', bank_type: 'OTHERS', total_fee: String(task.shop.total_fen),
    cash_fee: String(task.shop.total_fen), fee_type: 'CNY', out_trade_no: task.shop.out_trade_no,
    transaction_id: `42${Date.now()}${crypto.randomInt(1e9, 9e9)}`,
    time_end: new Date(Date.now() + 8 * 3_600_000).toISOString().replace(/\D/g, '').slice(0, 14),
    ...(signType === 'MD5' ? {} : { sign_type: signType }),
  };
  return Transformer.toXml({ ...fields, sign: Hash.sign(signType, fields, account.api_v2_key), ...changes });
}

async function tellShop(body) {
  const { status, text } = await send('POST', `${task.shop.url}/api/pay/wechat/notify`, body, { 'content-type': 'text/xml' });
  return { status, ...Transformer.toObject(text) };
}

await run({
  async create_native() {
    const answer = await create('native');
    assert.ok(answer.code_url.startsWith('weixin://wxpay/bizpayurl?pr=') && answer.prepay_id.startsWith('wx'));
    return 'code_url';
  },

  async create_again() {
    const [first, again] = [await create('again'), await create('again')];
    assert.notEqual(first.code_url, again.code_url);
    return 'a fresh code_url';
  },

  async create_other_amount() {
    await created('dearer');
    return refused(create('dearer', { total_fee: '2000' }), 'OUT_TRADE_NO_USED');
  },

  async create_jsapi() {
    const answer = await create('jsapi', { trade_type: 'JSAPI', openid: 'oBuyer' });
    assert.ok(answer.prepay_id.startsWith('wx'), JSON.stringify(answer));
    return 'prepay_id';
  },

  async create_h5() {
    const answer = await create('h5', { trade_type: 'MWEB' });
    assert.ok(answer.mweb_url.startsWith('http'), JSON.stringify(answer));
    return 'mweb_url';
  },

  async query_unpaid() {
    assert.equal((await query(await created('unpaid'))).trade_state, 'NOTPAY');
    return 'NOTPAY';
  },

  async query_paid() {
    const answer = await query(await paid('paid'));
    assert.deepEqual([answer.trade_state, answer.total_fee], ['SUCCESS', total]);
    return 'SUCCESS';
  },

  query_unknown: () => refused(query(task.number('nobodys')), 'ORDERNOTEXIST'),

  async create_paid() {
    await paid('bought');
    return refused(create('bought'), 'ORDERPAID');
  },

  async close() {
    const number = await created('closed');
    assert.equal((await close(number)).result_code, 'SUCCESS');
    assert.equal((await query(number)).trade_state, 'CLOSED');
    return 'CLOSED';
  },

  close_paid: async () => refused(close(await paid('kept')), 'ORDERPAID'),

  async create_closed() {
    await close(await created('gone'));
    return refused(create('gone'), 'ORDERCLOSED');
  },

  async refund_part() {
    const number = await paid('refunded');
    assert.equal((await refund(number, task.number('r1'), '999')).refund_fee, '999');
    await endpoint.next();
    assert.equal((await query(number)).trade_state, 'REFUND');
    return 'accepted, REFUND';
  },

  async refund_again() {
    const number = await paid('twice');
    const [first, again] = [await refund(number, task.number('r2'), '999'), await refund(number, task.number('r2'), '999')];
    assert.ok(first.refund_id && first.refund_id === again.refund_id, JSON.stringify(again));
    await endpoint.next();
    return 'the same refund_id';
  },

  refund_too_much: async () => refused(refund(await paid('greedy'), task.number('r3'), '2000'), 'REFUND_FEE_MISMATCH'),

  refund_unpaid: async () => refused(refund(await created('owed'), task.number('r4'), '1'), 'INVALID_REQUEST'),

  async query_refund() {
    const number = await paid('asked');
    await refund(number, task.number('r5'), '999');
    await endpoint.next();
    const answer = await queryRefund({ out_trade_no: number });
    assert.deepEqual([answer.refund_count, answer.out_refund_no_0, answer.refund_status_0], ['1', task.number('r5'), 'SUCCESS']);
    return 'SUCCESS';
  },

  query_refund_unknown: () => refused(queryRefund({ out_refund_no: task.number('r9') }), 'REFUNDNOTEXIST'),

  async bill_of_trades() {
    const number = await paid('billed');
    const asked = signedBy({ bill_date: (await task.today()).replaceAll('-', ''), bill_type: 'ALL' });
    // a bill is a table, not XML: the SDK's documentation has the caller switch its reader off
    const { data } = await wxpay.v2.pay.downloadbill.post(asked, { transformResponse: [] });
    assert.ok(data.includes(`,\`${number},`), data);
    return 'the file lists the trade';
  },

  async bad_signature() {
    const answer = await queryAs(client({ secret: '0'.repeat(32) }), task.number('native'));
    assert.equal(answer.return_code, 'FAIL', JSON.stringify(answer));
    assert.equal(answer.sign, undefined, 'what is not believed is answered without a signature');
    return 'return_code FAIL';
  },

  async forged_answer() {
    const number = await created('forged');
    await task.fault({ kind: 'bad_answer_signature', operation: 'query', out_trade_no: number });
    await assert.rejects(query(number), { code: 'EV2_RES_SIGNATURE_NOT_EQUAL' });
    assert.equal((await query(number)).result_code, 'SUCCESS');
    return 'throws EV2_RES_SIGNATURE_NOT_EQUAL';
  },

  async notice_of_payment() {
    const number = await created('told');
    await task.pay(number);
    const told = await endpoint.next();
    assert.deepEqual([told.result_code, told.total_fee, told.out_trade_no], ['SUCCESS', total, number]);
    return 'verified: result_code SUCCESS';
  },

  async notice_of_refund() {
    await refund(await paid('back'), task.number('r6'), '500');
    const told = (await endpoint.next()).refund;
    assert.deepEqual([told.refund_status, told.out_refund_no, told.refund_fee], ['SUCCESS', task.number('r6'), '500']);
    return 'opened: SUCCESS';
  },

  async notice_forged() {
    const number = await created('lied');
    await task.fault({ kind: 'forge', operation: 'notify', out_trade_no: number });
    await task.pay(number);
    assert.equal(await endpoint.next(), null);
    assert.equal((await endpoint.next()).out_trade_no, number);
    return 'refused; the true one is taken';
  },

  async shop_refuses_tampered() {
    const { return_code: code } = await tellShop(notification({ cash_fee: '1' }));
    assert.equal(code, 'FAIL');
    return 'return_code FAIL';
  },

  async shop_accepts() {
    const { status, return_code: code } = await tellShop(notification());
    assert.deepEqual([status, code], [200, 'SUCCESS']);
    return 'SUCCESS; the order is paid';
  },
});
