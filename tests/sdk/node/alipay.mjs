// npm `alipay-sdk` against the sandbox and the shop, with keys and with certificates.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { AlipaySdk } from 'alipay-sdk';
import { Endpoint, run, send, task } from './counterpart.mjs';

const account = task.merchant.alipay;
const total = '19.99';

const trust = task.mode === 'certificate'
  ? {
    appCertContent: task.merchantFile(account.app_certificate_file),
    alipayPublicCertContent: task.merchantFile(account.alipay_certificate_file),
    alipayRootCertContent: task.merchantFile(account.alipay_root_certificate_file),
  }
  : { alipayPublicKey: task.merchantFile(account.alipay_public_key_file) };

const client = (changes = {}) => new AlipaySdk({
  gateway: account.gateway_url,
  appId: account.app_id,
  keyType: 'PKCS8',
  privateKey: task.merchantFile(account.private_key_file),
  timeout: 15_000,
  ...trust,
  ...changes,
});

const alipay = client();

function believe(_, body) {
  const params = Object.fromEntries(new URLSearchParams(body));
  return alipay.checkNotifySignV2(params) ? params : null;
}

const endpoint = await Endpoint.open(believe, (told) => told.notify_id, [200, 'success']);

const ask = (method, bizContent, more = {}, who = alipay) => who.exec(method, { bizContent, ...more }, { validateSign: true });
const content = (name, amount = total) => ({ out_trade_no: task.number(name), total_amount: amount, subject: '台灯 <lamp> & more' });
const create = (name, amount) => ask('alipay.trade.precreate', content(name, amount), { notifyUrl: endpoint.url });
const query = (number, who) => ask('alipay.trade.query', { out_trade_no: number }, {}, who);
const close = (number) => ask('alipay.trade.close', { out_trade_no: number });
const refund = (number, requestNo, amount) => ask('alipay.trade.refund', {
  out_trade_no: number, refund_amount: amount, out_request_no: requestNo,
});
const queryRefund = (number, requestNo) => ask('alipay.trade.fastpay.refund.query', { out_trade_no: number, out_request_no: requestNo });

async function created(name) {
  assert.equal((await create(name)).code, '10000');
  return task.number(name);
}

async function paid(name) {
  const number = await created(name);
  await task.pay(number);
  assert.equal((await endpoint.next()).out_trade_no, number);
  return number;
}

async function scanned(name) {
  const number = await created(name);
  await task.control('POST', `/trades/${number}/scan?provider=alipay`, {});
  return number;
}

async function refused(asked, subCode) {
  const answer = await asked;
  assert.deepEqual([answer.code, answer.subCode], ['40004', subCode], JSON.stringify(answer));
  return `40004 ${subCode}`;
}

/** A refusal of the gateway itself: it comes under `error_response`. */
async function rejected(who, subCode) {
  const answer = await who.exec('alipay.trade.query', { bizContent: { out_trade_no: task.number('native') } });
  assert.deepEqual([answer.code, answer.subCode], ['40002', subCode], JSON.stringify(answer));
  return `40002 ${subCode}`;
}

/** A notification of a payment at the shop, signed with the provider's key. */
function notification() {
  const now = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
  const amount = (task.shop.total_fen / 100).toFixed(2);
  const params = {
    app_id: account.app_id, seller_id: account.seller_id, auth_app_id: account.app_id, notify_type: 'trade_status_sync',
    notify_id: crypto.randomBytes(17).toString('hex'), notify_time: now, charset: 'utf-8', version: '1.0',
    out_trade_no: task.shop.out_trade_no, trade_no: `2026${Date.now()}${crypto.randomInt(1e9, 9e9)}`,
    trade_status: 'TRADE_SUCCESS', subject: '台灯 <lamp> & more', total_amount: amount, receipt_amount: amount,
    buyer_pay_amount: amount, gmt_create: now, gmt_payment: now, buyer_id: '2088000000000001',
  };
  const text = Object.keys(params).sort().map((name) => `${name}=${params[name]}`).join('&');
  // the SDK signs requests only: the signature is Node's, and the SDK's own check must agree with it
  const sign = crypto.createSign('RSA-SHA256').update(text, 'utf8').sign(task.platformFile('alipay_key.pem'), 'base64');
  const signed = { ...params, sign_type: 'RSA2', sign };
  assert.ok(alipay.checkNotifySignV2(signed));
  return signed;
}

const tellShop = (params) => send('POST', `${task.shop.url}/api/pay/alipay/notify`, new URLSearchParams(params).toString(), {
  'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
});

await run({
  async precreate() {
    const { code, qrCode } = await create('native');
    assert.ok(code === '10000' && qrCode.startsWith('http'), qrCode);
    return 'qr_code';
  },

  async precreate_again() {
    const [first, again] = [await create('again'), await create('again')];
    assert.notEqual(first.qrCode, again.qrCode);
    return 'a fresh qr_code';
  },

  async precreate_other_amount() {
    await created('dearer');
    return refused(create('dearer', '20.00'), 'ACQ.CONTEXT_INCONSISTENT');
  },

  async page_pay() {
    const bizContent = { ...content('page'), product_code: 'FAST_INSTANT_TRADE_PAY' };
    const url = alipay.pageExecute('alipay.trade.page.pay', 'GET', { bizContent, notifyUrl: endpoint.url });
    const { status, text } = await send('GET', url);
    assert.ok(status === 200 && text.includes(total), `${status} ${text}`);
    assert.equal((await query(task.number('page'))).tradeStatus, 'WAIT_BUYER_PAY');
    return 'leads to the cashier';
  },

  query_unscanned: async () => refused(query(await created('unseen')), 'ACQ.TRADE_NOT_EXIST'),

  async query_unpaid() {
    assert.equal((await query(await scanned('unpaid'))).tradeStatus, 'WAIT_BUYER_PAY');
    return 'WAIT_BUYER_PAY';
  },

  async query_paid() {
    const answer = await query(await paid('paid'));
    assert.deepEqual([answer.tradeStatus, answer.totalAmount], ['TRADE_SUCCESS', total]);
    return 'TRADE_SUCCESS';
  },

  query_unknown: () => refused(query(task.number('nobodys')), 'ACQ.TRADE_NOT_EXIST'),

  async precreate_paid() {
    await paid('bought');
    return refused(create('bought'), 'ACQ.TRADE_HAS_SUCCESS');
  },

  async close() {
    const number = await scanned('closed');
    assert.equal((await close(number)).code, '10000');
    assert.equal((await query(number)).tradeStatus, 'TRADE_CLOSED');
    return 'TRADE_CLOSED';
  },

  close_unscanned: async () => refused(close(await created('early')), 'ACQ.TRADE_NOT_EXIST'),

  close_paid: async () => refused(close(await paid('kept')), 'ACQ.TRADE_STATUS_ERROR'),

  async precreate_closed() {
    await close(await scanned('gone'));
    return refused(create('gone'), 'ACQ.TRADE_HAS_CLOSE');
  },

  async refund_part() {
    const answer = await refund(await paid('refunded'), 'R1', '9.99');
    assert.deepEqual([answer.fundChange, answer.refundFee], ['Y', '9.99']);
    await endpoint.next();
    return 'fund_change Y';
  },

  async refund_again() {
    const number = await paid('twice');
    await refund(number, 'R1', '9.99');
    await endpoint.next();
    assert.equal((await refund(number, 'R1', '9.99')).fundChange, 'N');
    return 'fund_change N';
  },

  refund_too_much: async () => refused(refund(await paid('greedy'), 'R1', '20.00'), 'ACQ.REFUND_AMT_NOT_EQUAL_TOTAL'),

  async query_refund() {
    const number = await paid('asked');
    await refund(number, 'R1', '9.99');
    await endpoint.next();
    const answer = await queryRefund(number, 'R1');
    assert.deepEqual([answer.refundStatus, answer.refundAmount], ['REFUND_SUCCESS', '9.99']);
    return 'REFUND_SUCCESS';
  },

  async query_refund_unknown() {
    const answer = await queryRefund(await paid('never'), 'R9');
    assert.deepEqual([answer.code, answer.refundStatus], ['10000', undefined]);
    return '10000 that says nothing';
  },

  async bill_of_trades() {
    const number = await paid('billed');
    const bizContent = { bill_type: 'trade', bill_date: await task.today() };
    const { billDownloadUrl: url } = await ask('alipay.data.dataservice.bill.downloadurl.query', bizContent);
    const { status, text } = await send('GET', url);
    assert.ok(status === 200 && text.includes(number), text);
    return 'the file lists the trade';
  },

  bad_signature: () => {
    const privateKey = task.merchantFile(task.merchant.wechat.private_key_file);
    return rejected(client({ privateKey }), 'isv.invalid-signature');
  },

  unknown_app: () => rejected(client({ appId: '2021000000000000' }), 'isv.invalid-app-id'),

  async forged_answer() {
    const number = await scanned('forged');
    await task.fault({ kind: 'bad_answer_signature', operation: 'query', out_trade_no: number });
    await assert.rejects(query(number), { name: 'AlipayRequestError' });
    assert.equal((await query(number)).code, '10000');
    return 'throws AlipayRequestError';
  },

  async notice_of_payment() {
    const number = await created('told');
    await task.pay(number);
    const told = await endpoint.next();
    assert.deepEqual([told.trade_status, told.total_amount], ['TRADE_SUCCESS', total]);
    assert.deepEqual([told.app_id, told.seller_id], [account.app_id, account.seller_id]);
    return 'verified: TRADE_SUCCESS';
  },

  async notice_of_refund() {
    await refund(await paid('back'), 'R1', '5.00');
    const told = await endpoint.next();
    assert.deepEqual([told.out_biz_no, told.refund_fee], ['R1', '5.00']);
    return 'verified: refund_fee';
  },

  async notice_forged() {
    const number = await created('lied');
    await task.fault({ kind: 'forge', operation: 'notify', out_trade_no: number });
    await task.pay(number);
    assert.equal(await endpoint.next(), null);
    await task.control('POST', '/clock', { by_ms: 300_000 }); // Alipay waits minutes before it repeats
    try {
      assert.equal((await endpoint.next()).out_trade_no, number);
    } finally {
      await task.control('DELETE', '/clock');
    }
    return 'refused; the true one is taken';
  },

  async shop_refuses_tampered() {
    const { status, text } = await tellShop({ ...notification(), receipt_amount: '0.01' });
    assert.notEqual(text, 'success');
    return `${status} ${text}`;
  },

  async shop_accepts() {
    const { status, text } = await tellShop(notification());
    assert.deepEqual([status, text], [200, 'success']);
    return 'success; the order is paid';
  },
});
