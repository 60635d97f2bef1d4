"""PyPI `python-alipay-sdk` against the sandbox and the shop, with keys and with certificates.

The distribution `alipay-sdk-python` cannot take this place: it connects to ports 80 and 443 only, and its handling of a
port in the gateway's URL raises a TypeError.
"""
import datetime
import json
import secrets
import urllib.parse

from alipay import AliPay, AliPayConfig, DCAliPay
from alipay.exceptions import AliPayException, AliPayValidationError
from counterpart import TASK, Endpoint, cell, run, send

ACCOUNT = TASK.merchant["alipay"]
TOTAL = "19.99"
WITH_CERTIFICATES = TASK.mode == "certificate"


def client(**changes):
    settings = {
        "appid": ACCOUNT["app_id"], "sign_type": "RSA2",
        "app_private_key_string": TASK.merchant_file(ACCOUNT["private_key_file"]),
    }
    if WITH_CERTIFICATES:
        settings["app_public_key_cert_string"] = TASK.merchant_file(ACCOUNT["app_certificate_file"])
        settings["alipay_public_key_cert_string"] = TASK.merchant_file(ACCOUNT["alipay_certificate_file"])
        settings["alipay_root_cert_string"] = TASK.merchant_file(ACCOUNT["alipay_root_certificate_file"])
        made = DCAliPay(**{**settings, **changes})
    else:
        settings["alipay_public_key_string"] = TASK.merchant_file(ACCOUNT["alipay_public_key_file"])
        made = AliPay(**{**settings, **changes}, config=AliPayConfig(timeout=15))
    made._gateway = ACCOUNT["gateway_url"]
    return made


alipay = client()


def believe(_, body):
    params = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
    signature = params.pop("sign")
    return params if alipay.verify(dict(params), signature) else None


endpoint = Endpoint(believe, lambda told: told["notify_id"], (200, "success"))


def create(number, total=TOTAL):
    return alipay.api_alipay_trade_precreate(
        subject="台灯 <lamp> & more", out_trade_no=TASK.number(number), total_amount=total, notify_url=endpoint.url)


def created(number):
    answer = create(number)
    assert answer["code"] == "10000", answer
    return TASK.number(number)


def paid(number):
    number = created(number)
    TASK.pay(number)
    assert endpoint.next()["out_trade_no"] == number
    return number


def scanned(number):
    number = created(number)
    TASK.control("POST", f"/trades/{number}/scan?provider=alipay", {})
    return number


def query(number):
    return alipay.api_alipay_trade_query(out_trade_no=number)


def refund(number, request_no, amount):
    return alipay.api_alipay_trade_refund(amount, out_trade_no=number, out_request_no=request_no)


def refused(answer, sub_code):
    assert (answer["code"], answer.get("sub_code")) == ("40004", sub_code), answer
    return f"40004 {sub_code}"


@cell
def precreate():
    answer = create("native")
    assert answer["code"] == "10000" and answer["qr_code"].startswith("http"), answer
    return "qr_code"


@cell
def precreate_again():
    first, again = create("again"), create("again")
    assert first["code"] == again["code"] == "10000" and first["qr_code"] != again["qr_code"], again
    return "a fresh qr_code"


@cell
def precreate_other_amount():
    created("dearer")
    return refused(create("dearer", "20.00"), "ACQ.CONTEXT_INCONSISTENT")


@cell
def page_pay():
    number = TASK.number("page")
    form = alipay.api_alipay_trade_page_pay("台灯 <lamp> & more", number, TOTAL, notify_url=endpoint.url)
    status, page = send("GET", f"{ACCOUNT['gateway_url']}?{form}")
    assert status == 200 and TOTAL in page, (status, page)
    assert query(number)["trade_status"] == "WAIT_BUYER_PAY"
    return "leads to the cashier"


@cell
def query_unscanned():
    return refused(query(created("unseen")), "ACQ.TRADE_NOT_EXIST")


@cell
def query_unpaid():
    answer = query(scanned("unpaid"))
    assert (answer["code"], answer["trade_status"]) == ("10000", "WAIT_BUYER_PAY"), answer
    return "WAIT_BUYER_PAY"


@cell
def query_paid():
    answer = query(paid("paid"))
    assert (answer["trade_status"], answer["total_amount"]) == ("TRADE_SUCCESS", TOTAL), answer
    return "TRADE_SUCCESS"


@cell
def query_unknown():
    return refused(query(TASK.number("nobodys")), "ACQ.TRADE_NOT_EXIST")


@cell
def precreate_paid():
    paid("bought")
    return refused(create("bought"), "ACQ.TRADE_HAS_SUCCESS")


@cell
def close():
    number = scanned("closed")
    answer = alipay.api_alipay_trade_close(out_trade_no=number)
    assert answer["code"] == "10000", answer
    assert query(number)["trade_status"] == "TRADE_CLOSED"
    return "TRADE_CLOSED"


@cell
def close_unscanned():
    return refused(alipay.api_alipay_trade_close(out_trade_no=created("early")), "ACQ.TRADE_NOT_EXIST")


@cell
def close_paid():
    return refused(alipay.api_alipay_trade_close(out_trade_no=paid("kept")), "ACQ.TRADE_STATUS_ERROR")


@cell
def precreate_closed():
    alipay.api_alipay_trade_close(out_trade_no=scanned("gone"))
    return refused(create("gone"), "ACQ.TRADE_HAS_CLOSE")


@cell
def refund_part():
    answer = refund(paid("refunded"), "R1", "9.99")
    assert (answer["code"], answer["fund_change"], answer["refund_fee"]) == ("10000", "Y", "9.99"), answer
    endpoint.next()
    return "fund_change Y"


@cell
def refund_again():
    number = paid("twice")
    refund(number, "R1", "9.99")
    endpoint.next()
    answer = refund(number, "R1", "9.99")
    assert (answer["code"], answer["fund_change"]) == ("10000", "N"), answer
    return "fund_change N"


@cell
def refund_too_much():
    return refused(refund(paid("greedy"), "R1", "20.00"), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")


@cell
def query_refund():
    number = paid("asked")
    refund(number, "R1", "9.99")
    endpoint.next()
    answer = alipay.api_alipay_trade_fastpay_refund_query("R1", out_trade_no=number)
    assert (answer["refund_status"], answer["refund_amount"]) == ("REFUND_SUCCESS", "9.99"), answer
    return "REFUND_SUCCESS"


@cell
def query_refund_unknown():
    answer = alipay.api_alipay_trade_fastpay_refund_query("R9", out_trade_no=paid("never"))
    assert answer["code"] == "10000" and "refund_status" not in answer, answer
    return "10000 that says nothing"


@cell
def bill_of_trades():
    number = paid("billed")
    answer = alipay.server_api(
        "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": TASK.today()})
    assert answer["code"] == "10000", answer
    status, bill = send("GET", answer["bill_download_url"])
    assert status == 200 and number in bill, bill
    return "the file lists the trade"


@cell
def bad_signature():
    stranger = client(app_private_key_string=TASK.merchant_file(TASK.merchant["wechat"]["private_key_file"]))
    try:
        answer = stranger.api_alipay_trade_query(out_trade_no=TASK.number("native"))
    except AliPayException as refusal:
        assert "isv.invalid-signature" in str(refusal), refusal
        return "40002 isv.invalid-signature"
    raise AssertionError(answer)


@cell
def unknown_app():
    stranger = client(appid="2021000000000000")
    try:
        answer = stranger.api_alipay_trade_query(out_trade_no=TASK.number("native"))
    except AliPayException as refusal:
        assert "isv.invalid-app-id" in str(refusal), refusal
        return "40002 isv.invalid-app-id"
    raise AssertionError(answer)


@cell
def forged_answer():
    number = scanned("forged")
    TASK.fault(kind="bad_answer_signature", operation="query", out_trade_no=number)
    try:
        answer = query(number)
    except AliPayValidationError:
        assert query(number)["code"] == "10000"
        return "raises AliPayValidationError"
    raise AssertionError(f"trusted: {answer}")


@cell
def notice_of_payment():
    number = created("told")
    TASK.pay(number)
    told = endpoint.next()
    assert (told["trade_status"], told["total_amount"]) == ("TRADE_SUCCESS", TOTAL), told
    assert (told["app_id"], told["seller_id"]) == (ACCOUNT["app_id"], ACCOUNT["seller_id"]), told
    return "verified: TRADE_SUCCESS"


@cell
def notice_of_refund():
    number = paid("back")
    refund(number, "R1", "5.00")
    told = endpoint.next()
    assert (told["out_biz_no"], told["refund_fee"]) == ("R1", "5.00"), told
    return "verified: refund_fee"


@cell
def notice_forged():
    number = created("lied")
    TASK.fault(kind="forge", operation="notify", out_trade_no=number)
    TASK.pay(number)
    assert endpoint.next() is None, "the SDK believed a stranger"
    TASK.control("POST", "/clock", {"by_ms": 300_000})  # Alipay waits minutes before it repeats
    try:
        assert endpoint.next()["out_trade_no"] == number
    finally:
        TASK.control("DELETE", "/clock")
    return "refused; the true one is taken"


def notification():
    """A notification of a payment at the shop, signed by the SDK with the provider's key."""
    beijing = datetime.timezone(datetime.timedelta(hours=8))
    now = datetime.datetime.now(beijing).strftime("%Y-%m-%d %H:%M:%S")
    total = f"{TASK.shop['total_fen'] // 100}.{TASK.shop['total_fen'] % 100:02}"
    params = {
        "app_id": ACCOUNT["app_id"], "seller_id": ACCOUNT["seller_id"], "auth_app_id": ACCOUNT["app_id"],
        "notify_type": "trade_status_sync", "notify_id": secrets.token_hex(17), "notify_time": now, "charset": "utf-8",
        "version": "1.0", "out_trade_no": TASK.shop["out_trade_no"], "trade_no": f"{secrets.randbelow(10**28):028}",
        "trade_status": "TRADE_SUCCESS", "subject": "台灯 <lamp> & more", "total_amount": total,
        "receipt_amount": total, "buyer_pay_amount": total, "gmt_create": now, "gmt_payment": now,
        "buyer_id": "2088000000000001",
    }
    provider = AliPay(
        appid=ACCOUNT["app_id"], app_private_key_string=TASK.platform_file("alipay_key.pem"),
        alipay_public_key_string=TASK.merchant_file(ACCOUNT["alipay_public_key_file"]))
    signature = provider._sign("&".join(f"{name}={value}" for name, value in sorted(params.items())))
    assert alipay.verify(dict(params), signature)
    return {**params, "sign_type": "RSA2", "sign": signature}


def tell_shop(params):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    return send("POST", f"{TASK.shop['url']}/api/pay/alipay/notify", urllib.parse.urlencode(params).encode(), headers)


@cell
def shop_refuses_tampered():
    status, text = tell_shop({**notification(), "receipt_amount": "0.01"})
    assert text != "success", (status, text)
    return f"{status} {text}"


@cell
def shop_accepts():
    status, text = tell_shop(notification())
    assert (status, text) == (200, "success"), (status, text)
    return "success; the order is paid"


run()
