/** The calls of the pay page. One charge of an order is under way at a time: another channel waits until the first is closed. */
import { api, dataOf, done } from "../api/client";
import { ApiError, Code } from "../api/error";
import { openChannel } from "./orderStatus";

type Gateway = "wechat" | "alipay";

/** For longer than the shop waits before it looks again at a charge that did not close at once (10 s). */
const CLOSING_TRIES = 30;
const CLOSING_PAUSE_MS = 500;

function isInTheWay(error: unknown): boolean {
  return error instanceof ApiError && error.code === Code.PayRefused && error.details.attempt !== undefined;
}

/** Opens a charge. */
export function openCharge(orderNo: string, channel: Gateway) {
  return alone(orderNo, () =>
    dataOf(
      api.POST("/api/pay/{channel}/unified-order", {
        params: { path: { channel } },
        body: { order_no: orderNo },
      }),
    ),
  );
}

const SIMULATED = 9;

/** Pays where payment is simulated. Doing it twice is refused by the order itself, so it needs no key. */
export function payAtOnce(orderNo: string): Promise<void> {
  const params = { path: { order_no: orderNo } };
  return alone(orderNo, () =>
    done(api.POST("/api/order/{order_no}/pay", { params, body: { pay_type: SIMULATED } })),
  );
}

/** Does `pay`; if an open charge is in the way, has it closed and tries until the gateway has confirmed its end. */
async function alone<T>(orderNo: string, pay: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await pay();
    } catch (error) {
      if (!isInTheWay(error) || tries > CLOSING_TRIES) throw error;
      if (tries === 1) await closeOpenCharge(orderNo);
      await new Promise((resolve) => setTimeout(resolve, CLOSING_PAUSE_MS));
    }
  }
}

async function closeOpenCharge(orderNo: string): Promise<void> {
  const { timeline } = await dataOf(
    api.GET("/api/order/{order_no}", { params: { path: { order_no: orderNo } } }),
  );
  const channel = openChannel(timeline);
  if (!channel) return;
  await done(
    api.POST("/api/pay/{channel}/close", { params: { path: { channel } }, body: { order_no: orderNo } }),
  );
}

export function queryPayment(orderNo: string, channel: Gateway) {
  const params = { path: { channel }, query: { order_no: orderNo } };
  return dataOf(api.GET("/api/pay/{channel}/query", { params }));
}
