/** What a charge's code means for whoever has to pay it. */

export type Channel = "wechat" | "alipay" | "simulated";

/** The part of a code that names it: of `weixin://wxpay/bizpayurl?pr=X` and `https://qr.alipay.com/X` it is X. */
export function codeName(codeUrl: string): string {
  const name = /(?:[?&]pr=|\/)([\w-]+)$/.exec(codeUrl)?.[1];
  return name ?? "";
}

export interface WayToPay {
  /** What the QR code says. */
  qr: string;
  /** Where this browser can pay; empty if only a phone can. */
  link: string;
}

/** In the sandbox no app can read the code: both lead to its cashier. */
export function wayToPay(
  charge: { code_url: string; pay_url: string },
  sandbox: string | null,
  origin: string,
  lang: string,
): WayToPay {
  if (sandbox !== null && charge.code_url) {
    const cashier = `${origin}${sandbox}/cashier/${codeName(charge.code_url)}${lang === "en" ? "?lang=en" : ""}`;
    return { qr: cashier, link: cashier };
  }
  const link = charge.pay_url || (charge.code_url.startsWith("https://") ? charge.code_url : "");
  return { qr: charge.code_url || charge.pay_url, link };
}
