"""PyPI `wechatpayv3` against the sandbox and the shop, in public-key mode and in certificate mode."""
import base64
import gzip
import hashlib
import json
import secrets
import time
import uuid

from counterpart import TASK, Endpoint, Limit, cell, run, send
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core
from wechatpayv3.utils import load_private_key, rsa_sign

ACCOUNT = TASK.merchant["wechat"]
TOTAL = 1_999
EXPIRES = time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(time.time() + 8 * 3_600 + 1_800))
IN_PUBLIC_KEY_MODE = TASK.mode == "public_key"

# The SDK knows one address, and in certificate mode asks it for certificates before anybody could set another.
Core._gate_way = property(lambda core: ACCOUNT["base_url"], lambda core, address: None)


def client(**changes):
    settings = {
        "wechatpay_type": WeChatPayType.NATIVE,
        "mchid": ACCOUNT["mchid"],
        "appid": ACCOUNT["appid"],
        "apiv3_key": ACCOUNT["api_v3_key"],
        "private_key": TASK.merchant_file(ACCOUNT["private_key_file"]),
        "cert_serial_no": ACCOUNT["certificate_serial"],
        "timeout": (5, 15),
    }
    if IN_PUBLIC_KEY_MODE:
        settings["public_key"] = TASK.merchant_file(ACCOUNT["public_key_file"])
        settings["public_key_id"] = ACCOUNT["public_key_id"]
    return WeChatPay(**{**settings, **changes})


wxpay = client()
endpoint = Endpoint(wxpay.callback, lambda told: told["id"], (204, ""))


def create(number, total=TOTAL, **more):
    code, text = wxpay.pay(
        description="台灯 <lamp> & more", out_trade_no=TASK.number(number), time_expire=EXPIRES, attach="a=1&b=2",
        notify_url=endpoint.url, amount={"total": total, "currency": "CNY"}, **more)
    return code, json.loads(text)


def created(number):
    code, body = create(number)
    assert code == 200, body
    return TASK.number(number)


def paid(number):
    number = created(number)
    TASK.pay(number)
    assert endpoint.next()["resource"]["out_trade_no"] == number
    return number


def query(number):
    code, text = wxpay.query(out_trade_no=number)
    return code, json.loads(text)


def refund(number, refund_no, fen, total=TOTAL):
    code, text = wxpay.refund(
        out_trade_no=number, out_refund_no=refund_no, reason="变了主意", notify_url=endpoint.url,
        amount={"refund": fen, "total": total, "currency": "CNY"})
    return code, json.loads(text)


def refused(answer, status, code):
    assert (answer[0], answer[1]["code"]) == (status, code), answer
    return f"{status} {code}"


def not_trusted(ask):
    """The SDK itself refuses the answer."""
    try:
        answer = ask()
    except Exception as error:
        return f"raises: {error}"
    raise AssertionError(f"trusted: {answer}")


@cell
def create_native():
    code, body = create("native")
    assert code == 200 and body["code_url"].startswith("weixin://wxpay/bizpayurl?pr="), body
    return "code_url"


@cell
def create_again():
    first, again = create("again"), create("again")
    assert first[0] == again[0] == 200 and first[1]["code_url"] != again[1]["code_url"], again
    return "a fresh code_url"


@cell
def create_other_amount():
    created("dearer")
    return refused(create("dearer", TOTAL + 1), 403, "OUT_TRADE_NO_USED")


@cell
def create_jsapi():
    code, body = create("jsapi", pay_type=WeChatPayType.JSAPI, payer={"openid": "oBuyer"})
    assert code == 200 and body["prepay_id"].startswith("wx"), body
    return "prepay_id"


@cell
def create_h5():
    scene = {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}
    code, body = create("h5", pay_type=WeChatPayType.H5, scene_info=scene)
    assert code == 200 and body["h5_url"].startswith("http"), body
    return "h5_url"


@cell
def create_app():
    code, body = create("app", pay_type=WeChatPayType.APP)
    assert code == 200 and body["prepay_id"].startswith("wx"), body
    return "prepay_id"


@cell
def query_unpaid():
    code, body = query(created("unpaid"))
    assert (code, body["trade_state"]) == (200, "NOTPAY") and "transaction_id" not in body, body
    return "NOTPAY"


@cell
def query_paid():
    code, body = query(paid("paid"))
    assert (code, body["trade_state"], body["amount"]["total"]) == (200, "SUCCESS", TOTAL), body
    assert body["attach"] == "a=1&b=2", body
    return "SUCCESS"


@cell
def query_by_transaction():
    number = paid("theirs")
    ours = query(number)[1]
    code, text = wxpay.query(transaction_id=ours["transaction_id"])
    assert (code, json.loads(text)) == (200, ours), text
    return "the same trade"


@cell
def query_unknown():
    return refused(query(TASK.number("nobodys")), 404, "ORDER_NOT_EXIST")


@cell
def create_paid():
    paid("bought")
    return refused(create("bought"), 400, "ORDERPAID")


@cell
def close():
    number = created("closed")
    code, text = wxpay.close(number)
    assert code == 204 and not text, (code, text)
    assert query(number)[1]["trade_state"] == "CLOSED"
    return "204, CLOSED"


@cell
def close_paid():
    code, text = wxpay.close(paid("kept"))
    return refused((code, json.loads(text)), 400, "ORDERPAID")


@cell
def create_closed():
    wxpay.close(created("gone"))
    return refused(create("gone"), 400, "ORDER_CLOSED")


@cell
def refund_part():
    number = paid("refunded")
    code, body = refund(number, TASK.number("r1"), 999)
    assert (code, body["amount"]["refund"]) == (200, 999) and body["status"] in ("PROCESSING", "SUCCESS"), body
    endpoint.next()
    assert query(number)[1]["trade_state"] == "REFUND"
    return "accepted, REFUND"


@cell
def refund_again():
    number = paid("twice")
    first, again = refund(number, TASK.number("r2"), 999), refund(number, TASK.number("r2"), 999)
    assert first[0] == again[0] == 200 and first[1]["refund_id"] == again[1]["refund_id"], again
    endpoint.next()
    return "the same refund_id"


@cell
def refund_too_much():
    return refused(refund(paid("greedy"), TASK.number("r3"), TOTAL + 1), 400, "INVALID_REQUEST")


@cell
def refund_unpaid():
    return refused(refund(created("owed"), TASK.number("r4"), 1), 403, "TRADE_ERROR")


@cell
def query_refund():
    refund(paid("asked"), TASK.number("r5"), 999)
    assert endpoint.next()["event_type"] == "REFUND.SUCCESS"
    code, text = wxpay.query_refund(TASK.number("r5"))
    body = json.loads(text)
    assert (code, body["status"], body["amount"]["refund"]) == (200, "SUCCESS", 999), body
    return "SUCCESS"


@cell
def query_refund_unknown():
    code, text = wxpay.query_refund(TASK.number("r9"))
    return refused((code, json.loads(text)), 404, "RESOURCE_NOT_EXISTS")


@cell
def bill_of_trades():
    number = paid("billed")
    code, text = wxpay.trade_bill(TASK.today())
    offer = json.loads(text)
    assert code == 200 and offer["hash_type"] == "SHA1", offer
    code, file = wxpay.download_bill(offer["download_url"])
    bill = gzip.decompress(file)  # the SDK always asks for GZIP; the hash is of what is inside
    assert code == 200 and hashlib.sha1(bill).hexdigest() == offer["hash_value"]
    assert f",`{number}," in bill.decode(), bill
    return "GZIP, its SHA-1 is right"


@cell
def bill_of_funds():
    paid("funds")
    code, text = wxpay.fundflow_bill(TASK.today())
    offer = json.loads(text)
    code, file = wxpay.download_bill(offer["download_url"])
    assert code == 200 and hashlib.sha1(gzip.decompress(file)).hexdigest() == offer["hash_value"]
    return "GZIP, its SHA-1 is right"


@cell
def certificates():
    if IN_PUBLIC_KEY_MODE:
        TASK.control("PATCH", "/knobs", {"lists_certificates": False})
        try:
            code, text = wxpay._core.request("/v3/certificates")
            return refused((code, json.loads(text)), 404, "RESOURCE_NOT_EXISTS")
        finally:
            TASK.control("DELETE", "/knobs")
    held = [format(certificate.serial_number, "X") for certificate in client()._core._certificates]
    assert ACCOUNT["platform_certificate_serial"].lstrip("0") in held, held
    return f"{len(held)} downloaded and opened"


@cell
def bad_signature():
    stranger = client(private_key=TASK.merchant_file(TASK.merchant["alipay"]["private_key_file"]), **trusted())
    code, text = stranger.query(out_trade_no=TASK.number("native"))
    return refused((code, json.loads(text)), 401, "SIGN_ERROR")


@cell
def stale_request():
    TASK.control("POST", "/clock", {"by_ms": 301_000, "clock": "wire"})
    try:
        return refused(query(TASK.number("native")), 401, "SIGN_ERROR")
    finally:
        TASK.control("DELETE", "/clock")


@cell
def unknown_serial():
    stranger = client(cert_serial_no="0123456789ABCDEF0123456789ABCDEF01234567", **trusted())
    code, text = stranger.query(out_trade_no=TASK.number("native"))
    return refused((code, json.loads(text)), 401, "SIGN_ERROR")


def trusted():
    """A client whose requests are refused cannot fetch certificates: it trusts the public key."""
    return {
        "public_key": TASK.merchant_file(ACCOUNT["public_key_file"]),
        "public_key_id": ACCOUNT["public_key_id"],
    }


@cell
def forged_answer():
    number = created("forged")
    TASK.fault(kind="bad_answer_signature", operation="query", out_trade_no=number)
    seen = not_trusted(lambda: query(number))
    assert query(number)[0] == 200
    return seen


@cell
def stale_answer():
    number = created("stale")
    TASK.fault(kind="stale_answer", operation="query", out_trade_no=number)
    try:
        code, _ = query(number)
    except Exception as error:
        return f"raises: {error}"
    assert code == 200
    raise Limit("the SDK checks no timestamp: it trusted an answer that was signed ten minutes ago")


@cell
def notice_of_payment():
    number = created("told")
    TASK.pay(number)
    told = endpoint.next()
    assert told["event_type"] == "TRANSACTION.SUCCESS", told
    assert told["resource"] == query(number)[1], told
    return "opened; says what a query says"


@cell
def notice_of_refund():
    number = paid("back")
    refund(number, TASK.number("r6"), 500)
    told = endpoint.next()
    resource = told["resource"]
    assert (told["event_type"], resource["refund_status"]) == ("REFUND.SUCCESS", "SUCCESS"), told
    assert (resource["out_refund_no"], resource["amount"]["refund"]) == (TASK.number("r6"), 500), told
    return "opened: REFUND.SUCCESS"


@cell
def notice_forged():
    number = created("lied")
    TASK.fault(kind="forge", operation="notify", out_trade_no=number)
    TASK.pay(number)
    assert endpoint.next() is None, "the SDK believed a stranger"
    assert endpoint.next()["resource"]["out_trade_no"] == number
    return "refused; the true one is taken"


@cell
def notice_broken_tag():
    number = created("torn")
    TASK.fault(kind="broken_tag", operation="notify", out_trade_no=number)
    TASK.pay(number)
    assert endpoint.next() is None, "the SDK opened a broken resource"
    assert endpoint.next()["resource"]["out_trade_no"] == number
    return "refused; the true one is taken"


def notification():
    """A notification of a payment at the shop, sealed and signed by the SDK's own means with the provider's key."""
    transaction = {
        "appid": ACCOUNT["appid"], "mchid": ACCOUNT["mchid"], "out_trade_no": TASK.shop["out_trade_no"],
        "transaction_id": f"42{secrets.randbelow(10**26):026}", "trade_type": "NATIVE", "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "",
        "success_time": time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(time.time() + 8 * 3_600)),
        "payer": {"openid": "oBuyer"},
        "amount": {"total": TASK.shop["total_fen"], "payer_total": TASK.shop["total_fen"], "currency": "CNY",
                   "payer_currency": "CNY"},
    }
    nonce = secrets.token_hex(6)
    sealed = AESGCM(ACCOUNT["api_v3_key"].encode()).encrypt(
        nonce.encode(), json.dumps(transaction, ensure_ascii=False).encode(), b"transaction")
    return json.dumps({
        "id": str(uuid.uuid4()), "create_time": transaction["success_time"], "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS", "summary": "支付成功",
        "resource": {"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM", "nonce": nonce,
                     "associated_data": "transaction", "ciphertext": base64.b64encode(sealed).decode()},
    }, ensure_ascii=False)


def signed(body, age_s=0):
    if IN_PUBLIC_KEY_MODE:
        serial, file = ACCOUNT["public_key_id"], "wechatpay_key.pem"
    else:
        serial = TASK.control("GET", "/certificates")["signs"]
        file = f"wechatpay_{serial}_key.pem"
    timestamp, nonce = str(int(time.time()) - age_s), secrets.token_hex(16)
    signature = rsa_sign(load_private_key(TASK.platform_file(file)), f"{timestamp}\n{nonce}\n{body}\n")
    return {
        "Content-Type": "application/json", "Wechatpay-Timestamp": timestamp, "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial, "Wechatpay-Signature": signature,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }


def tell_shop(body, headers):
    return send("POST", f"{TASK.shop['url']}/api/pay/wechat/v3/notify", body.encode(), headers)


@cell
def shop_refuses_tampered():
    body = notification()
    headers = signed(body)
    status, text = tell_shop(body.replace("TRANSACTION.SUCCESS", "TRANSACTION.SUCCESs"), headers)
    assert 400 <= status < 600 and json.loads(text)["code"] == "FAIL", (status, text)
    return f"{status} FAIL"


@cell
def shop_refuses_stale():
    body = notification()
    status, text = tell_shop(body, signed(body, age_s=301))
    assert 400 <= status < 600 and json.loads(text)["code"] == "FAIL", (status, text)
    return f"{status} FAIL"


@cell
def shop_accepts():
    body = notification()
    headers = signed(body)
    assert wxpay.callback(headers, body)["event_type"] == "TRANSACTION.SUCCESS"
    status, text = tell_shop(body, headers)
    assert status in (200, 204), (status, text)
    return f"{status}; the order is paid"


@cell
def rotation():
    before = client()
    signs = TASK.control("POST", "/certificates/rotate", {})["serial"]
    code, _ = before.query(out_trade_no=created("rotated"))
    assert code == 200
    if IN_PUBLIC_KEY_MODE:
        return "the public key stays"
    assert int(signs, 16) in [certificate.serial_number for certificate in before._core._certificates]
    return "the new certificate was fetched"


run()
