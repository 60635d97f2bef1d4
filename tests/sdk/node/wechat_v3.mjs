// npm `wechatpay-axios-plugin` over v3 against the sandbox and the shop, in public-key mode and in certificate mode.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import sdk from 'wechatpay-axios-plugin';
import { Endpoint, run, send, task } from './counterpart.mjs';

const { Aes, Decorator, Formatter, Rsa, Wechatpay } = sdk;
const account = task.merchant.wechat;
const total = 1_999;
const inPublicKeyMode = task.mode === 'public_key';
const beijing = (ms) => `${new Date(ms + 8 * 3_600_000).toISOString().slice(0, 19)}+08:00`;
const expires = beijing(Date.now() + 1_800_000);
const publicKey = { [account.public_key_id]: task.merchantFile(account.public_key_file) };

/** The platform's certificates, trusted because they open; then the answer that brought them is verified with them. */
async function download() {
  const certs = {};
  const open = (text) => {
    for (const { serial_no: serial, encrypt_certificate: sealed } of JSON.parse(text).data) {
      certs[serial] = Aes.AesGcm.decrypt(sealed.ciphertext, account.api_v3_key, sealed.nonce, sealed.associated_data);
    }
    return text;
  };
  function verify(...answer) {
    const keys = Object.entries(certs).map(([serial, pem]) => [serial, Rsa.from(pem, Rsa.KEY_TYPE_PUBLIC)]);
    return Decorator.responseVerifier(Object.fromEntries(keys)).apply(this, answer);
  }
  await client().v3.certificates.get({ transformResponse: [open, verify] });
  return certs;
}

function client(changes = {}) {
  return new Wechatpay({
    baseURL: `${account.base_url}/`,
    mchid: account.mchid,
    serial: account.certificate_serial,
    privateKey: task.merchantFile(account.private_key_file),
    certs: publicKey,
    proxy: false,
    timeout: 15_000,
    ...(inPublicKeyMode ? { headers: { 'Wechatpay-Serial': account.public_key_id } } : {}),
    ...changes,
  });
}

let believed = inPublicKeyMode ? publicKey : await download();
let wxpay = client({ certs: believed });

/** What a notification tells, by the SDK's own functions; `null` if it is not believed. */
function believe(headers, body) {
  const key = believed[headers['wechatpay-serial']];
  const text = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
  if (!key || !Rsa.verify(text, headers['wechatpay-signature'], Rsa.from(key, Rsa.KEY_TYPE_PUBLIC))) return null;
  const told = JSON.parse(body);
  const { ciphertext, nonce, associated_data: aad } = told.resource;
  return { ...told, resource: JSON.parse(Aes.AesGcm.decrypt(ciphertext, account.api_v3_key, nonce, aad)) };
}

const endpoint = await Endpoint.open(believe, (told) => told.id, [204, '']);

/** Status and body of an answer; the SDK throws on refusals. */
const ask = (asked) => asked.then(
  ({ status, data }) => ({ status, data }),
  (error) => {
    if (!error.response || String(error.code).startsWith('EV3_')) throw error;
    return { status: error.response.status, data: error.response.data };
  },
);

const order = (name, more) => ({
  appid: account.appid, mchid: account.mchid, description: '台灯 <lamp> & more', out_trade_no: task.number(name),
  time_expire: expires, attach: 'a=1&b=2', notify_url: endpoint.url, amount: { total, currency: 'CNY' }, ...more,
});
const create = (name, more) => ask(wxpay.v3.pay.transactions.native.post(order(name, more)));

async function created(name) {
  const { status, data } = await create(name);
  assert.equal(status, 200, JSON.stringify(data));
  return task.number(name);
}

async function paid(name) {
  const number = await created(name);
  await task.pay(number);
  assert.equal((await endpoint.next()).resource.out_trade_no, number);
  return number;
}

const queryAs = (who, number) => ask(who.v3.pay.transactions.outTradeNo._number_.get({ params: { mchid: account.mchid }, number }));
const query = (number) => queryAs(wxpay, number);
const close = (number) => ask(wxpay.v3.pay.transactions.outTradeNo._number_.close.post({ mchid: account.mchid }, { number }));
const refund = (number, refundNo, fen) => ask(wxpay.v3.refund.domestic.refunds.post({
  out_trade_no: number, out_refund_no: refundNo, reason: '变了主意', notify_url: endpoint.url,
  amount: { refund: fen, total, currency: 'CNY' },
}));
const queryRefund = (number) => ask(wxpay.v3.refund.domestic.refunds._number_.get({ number }));

async function refused(asked, status, code) {
  const answer = await asked;
  assert.deepEqual([answer.status, answer.data.code], [status, code], JSON.stringify(answer.data));
  return `${status} ${code}`;
}

/** The SDK itself refuses the answer. */
async function notTrusted(asked, code) {
  await assert.rejects(asked, { code });
  return `throws ${code}`;
}

async function bill(offered) {
  const { status, data: offer } = await ask(offered);
  assert.deepEqual([status, offer.hash_type], [200, 'SHA1']);
  const params = Object.fromEntries(new URL(offer.download_url).searchParams);
  const file = await wxpay.v3.billdownload.file.get({ params, responseType: 'arraybuffer' });
  assert.equal(crypto.createHash('sha1').update(Buffer.from(file.data)).digest('hex'), offer.hash_value);
  return Buffer.from(file.data).toString();
}

/** A notification of a payment at the shop, sealed by the SDK. */
function notification() {
  const { out_trade_no, total_fen } = task.shop;
  const transaction = {
    appid: account.appid, mchid: account.mchid, out_trade_no, transaction_id: `42${Date.now()}${crypto.randomInt(1e9, 9e9)}`,
    trade_type: 'NATIVE', trade_state: 'SUCCESS', trade_state_desc: '支付成功', bank_type: 'OTHERS', attach: '',
    success_time: beijing(Date.now()), payer: { openid: 'oBuyer' },
    amount: { total: total_fen, payer_total: total_fen, currency: 'CNY', payer_currency: 'CNY' },
  };
  const nonce = Formatter.nonce(12);
  return JSON.stringify({
    id: crypto.randomUUID(), create_time: transaction.success_time, resource_type: 'encrypt-resource',
    event_type: 'TRANSACTION.SUCCESS', summary: '支付成功',
    resource: {
      original_type: 'transaction', algorithm: 'AEAD_AES_256_GCM', nonce, associated_data: 'transaction',
      ciphertext: Aes.AesGcm.encrypt(JSON.stringify(transaction), account.api_v3_key, nonce, 'transaction'),
    },
  });
}

/** The headers of a notification, signed by the SDK with the provider's key. */
async function signed(body, ageS = 0) {
  const serial = inPublicKeyMode ? account.public_key_id : (await task.control('GET', '/certificates')).signs;
  const file = inPublicKeyMode ? 'wechatpay_key.pem' : `wechatpay_${serial}_key.pem`;
  const [timestamp, nonce] = [String(Formatter.timestamp() - ageS), Formatter.nonce()];
  return {
    'content-type': 'application/json', 'wechatpay-timestamp': timestamp, 'wechatpay-nonce': nonce, 'wechatpay-serial': serial,
    'wechatpay-signature': Rsa.sign(Formatter.response(timestamp, nonce, body), Rsa.from(task.platformFile(file), Rsa.KEY_TYPE_PRIVATE)),
  };
}

const tellShop = (body, headers) => send('POST', `${task.shop.url}/api/pay/wechat/v3/notify`, body, headers);

function failed({ status, text }) {
  assert.ok(status >= 400 && JSON.parse(text).code === 'FAIL', `${status} ${text}`);
  return `${status} FAIL`;
}

await run({
  async create_native() {
    const { status, data } = await create('native');
    assert.ok(status === 200 && data.code_url.startsWith('weixin://wxpay/bizpayurl?pr='), JSON.stringify(data));
    return 'code_url';
  },

  async create_again() {
    const [first, again] = [await create('again'), await create('again')];
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.notEqual(first.data.code_url, again.data.code_url);
    return 'a fresh code_url';
  },

  async create_other_amount() {
    await created('dearer');
    return refused(create('dearer', { amount: { total: total + 1, currency: 'CNY' } }), 403, 'OUT_TRADE_NO_USED');
  },

  async create_jsapi() {
    const { status, data } = await ask(wxpay.v3.pay.transactions.jsapi.post(order('jsapi', { payer: { openid: 'oBuyer' } })));
    assert.ok(status === 200 && data.prepay_id.startsWith('wx'), JSON.stringify(data));
    return 'prepay_id';
  },

  async create_h5() {
    const scene = { payer_client_ip: '127.0.0.1', h5_info: { type: 'Wap' } };
    const { status, data } = await ask(wxpay.v3.pay.transactions.h5.post(order('h5', { scene_info: scene })));
    assert.ok(status === 200 && data.h5_url.startsWith('http'), JSON.stringify(data));
    return 'h5_url';
  },

  async create_app() {
    const { status, data } = await ask(wxpay.v3.pay.transactions.app.post(order('app')));
    assert.ok(status === 200 && data.prepay_id.startsWith('wx'), JSON.stringify(data));
    return 'prepay_id';
  },

  async query_unpaid() {
    const { data } = await query(await created('unpaid'));
    assert.deepEqual([data.trade_state, data.transaction_id], ['NOTPAY', undefined]);
    return 'NOTPAY';
  },

  async query_paid() {
    const { data } = await query(await paid('paid'));
    assert.deepEqual([data.trade_state, data.amount.total, data.attach], ['SUCCESS', total, 'a=1&b=2']);
    return 'SUCCESS';
  },

  async query_by_transaction() {
    const { data: ours } = await query(await paid('theirs'));
    const params = { mchid: account.mchid };
    const { data } = await ask(wxpay.v3.pay.transactions.id._number_.get({ params, number: ours.transaction_id }));
    assert.deepEqual(data, ours);
    return 'the same trade';
  },

  query_unknown: () => refused(query(task.number('nobodys')), 404, 'ORDER_NOT_EXIST'),

  async create_paid() {
    await paid('bought');
    return refused(create('bought'), 400, 'ORDERPAID');
  },

  async close() {
    const number = await created('closed');
    assert.equal((await close(number)).status, 204);
    assert.equal((await query(number)).data.trade_state, 'CLOSED');
    return '204, CLOSED';
  },

  close_paid: async () => refused(close(await paid('kept')), 400, 'ORDERPAID'),

  async create_closed() {
    await close(await created('gone'));
    return refused(create('gone'), 400, 'ORDER_CLOSED');
  },

  async refund_part() {
    const number = await paid('refunded');
    const { status, data } = await refund(number, task.number('r1'), 999);
    assert.deepEqual([status, data.amount.refund], [200, 999]);
    assert.ok(['PROCESSING', 'SUCCESS'].includes(data.status));
    await endpoint.next();
    assert.equal((await query(number)).data.trade_state, 'REFUND');
    return 'accepted, REFUND';
  },

  async refund_again() {
    const number = await paid('twice');
    const [first, again] = [await refund(number, task.number('r2'), 999), await refund(number, task.number('r2'), 999)];
    assert.deepEqual([first.status, first.data.refund_id], [again.status, again.data.refund_id]);
    assert.equal(first.status, 200);
    await endpoint.next();
    return 'the same refund_id';
  },

  refund_too_much: async () => refused(refund(await paid('greedy'), task.number('r3'), total + 1), 400, 'INVALID_REQUEST'),

  refund_unpaid: async () => refused(refund(await created('owed'), task.number('r4'), 1), 403, 'TRADE_ERROR'),

  async query_refund() {
    await refund(await paid('asked'), task.number('r5'), 999);
    await endpoint.next();
    const { data } = await queryRefund(task.number('r5'));
    assert.deepEqual([data.status, data.amount.refund], ['SUCCESS', 999]);
    return 'SUCCESS';
  },

  query_refund_unknown: () => refused(queryRefund(task.number('r9')), 404, 'RESOURCE_NOT_EXISTS'),

  async bill_of_trades() {
    const number = await paid('billed');
    const text = await bill(wxpay.v3.bill.tradebill.get({ params: { bill_date: await task.today(), bill_type: 'ALL' } }));
    assert.ok(text.includes(`,\`${number},`), text);
    return 'its SHA-1 is right';
  },

  async bill_of_funds() {
    await paid('funds');
    await bill(wxpay.v3.bill.fundflowbill.get({ params: { bill_date: await task.today(), account_type: 'BASIC' } }));
    return 'its SHA-1 is right';
  },

  async certificates() {
    if (inPublicKeyMode) {
      await task.control('PATCH', '/knobs', { lists_certificates: false });
      try {
        return await refused(ask(wxpay.v3.certificates.get()), 404, 'RESOURCE_NOT_EXISTS');
      } finally {
        await task.control('DELETE', '/knobs');
      }
    }
    const serials = Object.keys(await download());
    assert.ok(serials.includes((await task.control('GET', '/certificates')).signs), serials.join());
    return `${serials.length} downloaded and opened`;
  },

  bad_signature: () => {
    const privateKey = task.merchantFile(task.merchant.alipay.private_key_file);
    return refused(queryAs(client({ privateKey }), task.number('native')), 401, 'SIGN_ERROR');
  },

  async stale_request() {
    await task.control('POST', '/clock', { by_ms: 301_000, clock: 'wire' });
    try {
      return await refused(query(task.number('native')), 401, 'SIGN_ERROR');
    } finally {
      await task.control('DELETE', '/clock');
    }
  },

  unknown_serial: () => {
    const serial = '0123456789ABCDEF0123456789ABCDEF01234567';
    return refused(queryAs(client({ serial }), task.number('native')), 401, 'SIGN_ERROR');
  },

  async forged_answer() {
    const number = await created('forged');
    await task.fault({ kind: 'bad_answer_signature', operation: 'query', out_trade_no: number });
    const seen = await notTrusted(query(number), 'EV3_RES_HEADER_SIGNATURE_DIGEST');
    assert.equal((await query(number)).status, 200);
    return seen;
  },

  async stale_answer() {
    const number = await created('stale');
    await task.fault({ kind: 'stale_answer', operation: 'query', out_trade_no: number });
    return notTrusted(query(number), 'EV3_RES_HEADER_TIMESTAMP_OFFSET');
  },

  async notice_of_payment() {
    const number = await created('told');
    await task.pay(number);
    const told = await endpoint.next();
    assert.equal(told.event_type, 'TRANSACTION.SUCCESS');
    assert.deepEqual(told.resource, (await query(number)).data);
    return 'opened; says what a query says';
  },

  async notice_of_refund() {
    await refund(await paid('back'), task.number('r6'), 500);
    const { event_type: event, resource } = await endpoint.next();
    assert.deepEqual([event, resource.refund_status], ['REFUND.SUCCESS', 'SUCCESS']);
    assert.deepEqual([resource.out_refund_no, resource.amount.refund], [task.number('r6'), 500]);
    return 'opened: REFUND.SUCCESS';
  },

  async notice_forged() {
    const number = await created('lied');
    await task.fault({ kind: 'forge', operation: 'notify', out_trade_no: number });
    await task.pay(number);
    assert.equal(await endpoint.next(), null);
    assert.equal((await endpoint.next()).resource.out_trade_no, number);
    return 'refused; the true one is taken';
  },

  async notice_broken_tag() {
    const number = await created('torn');
    await task.fault({ kind: 'broken_tag', operation: 'notify', out_trade_no: number });
    await task.pay(number);
    assert.equal(await endpoint.next(), null);
    assert.equal((await endpoint.next()).resource.out_trade_no, number);
    return 'refused; the true one is taken';
  },

  async shop_refuses_tampered() {
    const body = notification();
    const headers = await signed(body);
    return failed(await tellShop(body.replace('TRANSACTION.SUCCESS', 'TRANSACTION.SUCCESs'), headers));
  },

  async shop_refuses_stale() {
    const body = notification();
    return failed(await tellShop(body, await signed(body, 301)));
  },

  async shop_accepts() {
    const body = notification();
    const { status, text } = await tellShop(body, await signed(body));
    assert.ok([200, 204].includes(status), `${status} ${text}`);
    return `${status}; the order is paid`;
  },

  async rotation() {
    const number = await created('rotated');
    await task.control('POST', '/certificates/rotate', {});
    if (inPublicKeyMode) {
      assert.equal((await query(number)).status, 200);
      return 'the public key stays';
    }
    // the SDK fetches nothing by itself: it must refuse the new serial number until it is given the certificate
    await assert.rejects(query(number), { code: 'EV3_RES_HEADER_PLATFORM_SERIAL' });
    believed = await download();
    wxpay = client({ certs: believed });
    assert.equal((await query(number)).status, 200);
    return 'unknown until the new certificate is downloaded';
  },
});
