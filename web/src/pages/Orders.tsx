import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import { orderList, type Order } from "../api/queries";
import { changed, pageOf } from "../lib/filters";
import { clockText, dateTime, remaining } from "../lib/format";
import { Status, canBePaid } from "../lib/orderStatus";
import { useServerSecond, useTitle } from "../lib/hooks";
import { usePollInterval } from "../live/LiveOrders";
import { ButtonLink, Empty, ErrorNote, LoadingBlocks, Picture, Price } from "../ui/Basics";
import { StatusTag } from "../ui/OrderParts";
import { Pager } from "../ui/Pager";
import { Tabs } from "../ui/Tabs";

export function Orders() {
  const { t } = useTranslation();
  useTitle(t("orders.title"));
  const [params] = useSearchParams();
  const text = params.get("status") ?? "";
  const status = /^\d$/.test(text) ? Number(text) : undefined;
  const found = useQuery({
    ...orderList({ page: pageOf(params), ...(status !== undefined && { status }) }),
    refetchInterval: usePollInterval(),
  });
  const tabs: [string, number | null][] = [
    [t("orders.all"), null],
    [t("orders.unpaid"), Status.Unpaid],
    [t("orders.paid"), Status.Paid],
    [t("orders.shipped"), Status.Shipped],
    [t("orders.completed"), Status.Completed],
    [t("orders.refunds"), Status.Refunding],
    [t("orders.cancelled"), Status.Cancelled],
  ];
  return (
    <div className="stack loose">
      <h1>{t("orders.title")}</h1>
      <Tabs label={t("orders.filter")}>
        {tabs.map(([label, value]) => (
          <Link
            key={label}
            to={changed(params, { status: value === null ? null : String(value) })}
            aria-current={(status ?? null) === value ? "page" : undefined}
          >
            {label}
          </Link>
        ))}
      </Tabs>
      {found.isPending && <LoadingBlocks />}
      {found.isError && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data?.list.length === 0 && (
        <Empty icon="box" title={t("orders.empty")} hint={t("orders.emptyHint")}>
          <ButtonLink to="/flash" look="primary">
            {t("home.goFlash")}
          </ButtonLink>
        </Empty>
      )}
      {found.data && (
        <>
          <ul className="stack">
            {found.data.list.map((order) => (
              <OrderRow key={order.order_no} order={order} />
            ))}
          </ul>
          <Pager page={found.data.page} total={found.data.total_page} />
        </>
      )}
    </div>
  );
}

function OrderRow({ order }: { order: Order }) {
  const { t, i18n } = useTranslation();
  const isUnpaid = order.status === Status.Unpaid;
  const now = useServerSecond(isUnpaid);
  const canPay = canBePaid(order, now);
  return (
    <li className="order" data-testid={`order-${order.order_no}`}>
      <div className="order-head">
        <time dateTime={order.created_at}>{dateTime(order.created_at, i18n.language)}</time>
        <span className="row">
          {canPay && order.pay_deadline != null && (
            <span className="number">
              {t("orders.payBefore", { time: clockText(remaining(Date.parse(order.pay_deadline), now)) })}
            </span>
          )}
          <StatusTag order={order} />
        </span>
      </div>
      <div className="order-body">
        <Picture src={order.product_image} className="thumb" />
        <div className="stack tight grow">
          <Link to={`/orders/${order.order_no}`} className="line-name">
            {order.product_name}
          </Link>
          <span className="muted small">× {order.quantity}</span>
          {order.carrier && (
            <span className="muted small">
              {order.carrier} <span className="number">{order.tracking_no}</span>
            </span>
          )}
        </div>
      </div>
      <div className="order-foot">
        <span className="row">
          <span className="muted small">{t("common.total")}</span>
          <Price amount={order.total_price} plain />
        </span>
        <span className="row">
          <ButtonLink to={`/orders/${order.order_no}`} size="compact">
            {t("orders.view")}
          </ButtonLink>
          {canPay && (
            <ButtonLink to={`/orders/${order.order_no}/pay`} size="compact" look="primary">
              {t("orders.pay")}
            </ButtonLink>
          )}
        </span>
      </div>
    </li>
  );
}
