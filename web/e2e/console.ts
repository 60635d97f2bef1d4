/** What the tests of the console's frame, actors, orders and money share: a shop where something has happened. */
import { administrator } from "./desk";
import { adminToken, call, callOnce, newBuyer, newOrder, newProduct, newSale, payFor } from "./support";

/** A paid order with a partial refund, an unpaid one, an open sale, a dead letter, and a run of the reconciliation. */
export async function consolePages(): Promise<string[]> {
  const long = await newProduct({
    name: "超长名称".repeat(20) + "UnbreakableProductNameWithoutAnySpaces".repeat(2),
    price: 12_345_678.9,
  });
  const { productId } = await newSale(99_999, {
    name: "八位数价格的秒杀商品名称也可以非常非常长".repeat(3),
    price: 98_765_432.1,
  });
  const buyer = await newBuyer();
  await call("POST", "/api/seckill", buyer.token, { product_id: productId });
  const [unpaid, paid] = [await newOrder(buyer, long.id), await newOrder(buyer, long.id)];
  await payFor(buyer, paid);
  await order(paid, "refund", { refund_fee: 1_234, reason: "买家少收了一件，协商部分退款" });
  await deadLetter();
  return [
    "/admin",
    "/admin/actors",
    "/admin/actors?kind=session&key=nobody",
    `/admin/actors/inventory/${productId}`,
    "/admin/actors/session/999999",
    "/admin/alerts",
    "/admin/dead",
    "/admin/dead/tickets",
    "/admin/dead/messages",
    "/admin/dead/webhooks",
    "/admin/orders",
    "/admin/orders?order_no=0000000000",
    `/admin/orders/${paid}`,
    `/admin/orders/${unpaid}`,
    "/admin/payments",
    "/admin/payments/refunds",
    "/admin/reconciliation",
    await aRun(),
    "/admin/no-such-page",
  ];
}

async function aRun(): Promise<string> {
  const yesterday = new Date(Date.now() + 8 * 3_600_000 - 86_400_000).toISOString().slice(0, 10);
  const [run] = await call<{ id: string }[]>("POST", "/api/admin/reconciliation", await adminToken(), {
    date: yesterday,
  });
  return `/admin/reconciliation/${run?.id ?? ""}`;
}

async function order(orderNo: string, command: string, body: unknown): Promise<void> {
  await call("POST", `/api/admin/orders/${orderNo}/${command}`, await adminToken(), body);
}

export async function tell(kind: string, key: number, command: string): Promise<void> {
  await call("POST", `/api/admin/actors/${kind}/${key}/${command}`, await adminToken(), { reason: "" });
}

/** A click that waited for a paused product until that was stopped: nobody handled it. Answers the product and the buyer. */
export async function deadLetter() {
  const sale = await newSale(5);
  const buyer = await newBuyer();
  await administrator();
  await tell("inventory", sale.productId, "pause");
  // once: a repetition would be handled
  const clicked = callOnce("POST", "/api/seckill", buyer.token, { product_id: sale.productId }).catch(
    (error: unknown) => error,
  );
  const waits = async () => {
    const actor = await call<{ vitals: { queued: number } }>(
      "GET",
      `/api/admin/actors/inventory/${sale.productId}`,
      await adminToken(),
    );
    return actor.vitals.queued > 0;
  };
  for (let tries = 0; tries < 100 && !(await waits()); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await tell("inventory", sale.productId, "stop");
  await clicked;
  return { ...sale, buyer };
}
