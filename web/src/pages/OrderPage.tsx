import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { api, done } from "../api/client";
import { ApiError } from "../api/error";
import { order as orderQuery, orderKey, type OrderDetail } from "../api/queries";
import { clockText, dateTime, dateTimeExact, money, remaining } from "../lib/format";
import { Status, canBePaid, isClosing } from "../lib/orderStatus";
import { useServerSecond, useTitle } from "../lib/hooks";
import { useFeedState, usePollInterval } from "../live/LiveOrders";
import { Button, ButtonLink, Empty, ErrorNote, LoadingBlocks, Note, Picture, Price } from "../ui/Basics";
import { Question } from "../ui/Dialog";
import { StatusTag } from "../ui/OrderParts";
import { RefundDialog } from "./RefundDialog";

export function OrderPage() {
  const { t } = useTranslation();
  const orderNo = useParams().orderNo ?? "";
  useTitle(t("order.title"));
  const found = useQuery({ ...orderQuery(orderNo), refetchInterval: usePollInterval() });
  if (found.isPending) return <LoadingBlocks />;
  if (!found.data) {
    const isMissing = found.error instanceof ApiError && !found.error.isPassing;
    return isMissing ? (
      <Empty icon="box" title={found.error.message}>
        <ButtonLink to="/orders">{t("orders.title")}</ButtonLink>
      </Empty>
    ) : (
      <ErrorNote error={found.error} onRetry={found.refetch} />
    );
  }
  return <Detail order={found.data} />;
}

function Detail({ order }: { order: OrderDetail }) {
  const { t, i18n } = useTranslation();
  const isLive = useFeedState() === "live";
  return (
    <div className="stack loose">
      <div className="status-head">
        <div className="state">
          <h1>{t("order.title")}</h1>
          <StatusTag order={order} />
          {isLive && <span className="tag good">● {t("state.live")}</span>}
        </div>
        <p className="muted small number">
          {t("orders.no")} {order.order_no}
        </p>
      </div>
      {order.needs_review && <Note tone="warn">{t("order.review")}</Note>}
      {order.end_reason && (
        <Note tone="info">{t(`order.endReason.${order.end_reason}` as "order.endReason.buyer")}</Note>
      )}
      <div className="with-aside">
        <div className="stack loose">
          <section className="card stack">
            <h2>{t("order.items")}</h2>
            <ul className="lines">
              {order.items.map((item) => (
                <li className="line" key={item.product_id}>
                  <Picture src={item.product_image} />
                  <div className="stack tight grow">
                    <Link to={`/products/${item.product_id}`} className="line-name">
                      {item.product_name}
                    </Link>
                    <span className="line-end">
                      <span className="muted">
                        {money(item.price)} × {item.quantity}
                      </span>
                    </span>
                  </div>
                </li>
              ))}
            </ul>
          </section>
          <section className="card stack">
            <h2>{t("order.timeline")}</h2>
            <Timeline order={order} />
          </section>
        </div>
        <aside className="stack loose aside">
          <section className="card stack" aria-label={t("common.total")}>
            <div className="sum">
              <span>{t("common.total")}</span>
              <Price amount={order.total_price} large />
            </div>
            <Actions order={order} />
            <dl className="facts small">
              <div>
                <dt>{t("order.createdAt")}</dt>
                <dd>{dateTime(order.created_at, i18n.language)}</dd>
              </div>
              {order.paid_at != null && (
                <div>
                  <dt>{t("order.paidAt")}</dt>
                  <dd>{dateTime(order.paid_at, i18n.language)}</dd>
                </div>
              )}
              {order.paid_at != null && order.pay_type > 0 && (
                <div>
                  <dt>{t("order.paidBy")}</dt>
                  <dd>{t(`order.channel.${order.pay_type}` as "order.channel.1")}</dd>
                </div>
              )}
              {order.refunded > 0 && (
                <div>
                  <dt>{t("order.refunded")}</dt>
                  <dd className="number">{money(order.refunded)}</dd>
                </div>
              )}
              {order.shipped_at != null && (
                <div>
                  <dt>{t("order.shippedAt")}</dt>
                  <dd>{dateTime(order.shipped_at, i18n.language)}</dd>
                </div>
              )}
              {order.carrier && (
                <div>
                  <dt>{t("order.carrier")}</dt>
                  <dd>{order.carrier}</dd>
                </div>
              )}
              {order.tracking_no && (
                <div>
                  <dt>{t("order.tracking")}</dt>
                  <dd className="number">{order.tracking_no}</dd>
                </div>
              )}
              {order.remark && (
                <div>
                  <dt>{t("order.remark")}</dt>
                  <dd>{order.remark}</dd>
                </div>
              )}
            </dl>
          </section>
          {order.address && (
            <section className="card stack tight">
              <h2>{t("order.address")}</h2>
              <p>
                {order.address.receiver} <span className="muted number">{order.address.phone}</span>
              </p>
              <p className="muted">
                {order.address.region} {order.address.detail}
              </p>
            </section>
          )}
        </aside>
      </div>
    </div>
  );
}

function Timeline({ order }: { order: OrderDetail }) {
  const { t, i18n } = useTranslation();
  const last = order.timeline.length - 1;
  if (last < 0) return <p className="muted">{t("flash.queued")}</p>;
  return (
    <ol className="timeline" data-testid="timeline">
      {order.timeline.map(({ seq, event, at }, index) => (
        <li key={seq} className={index === last ? "latest" : ""}>
          <span>{t(`order.event.${event}` as "order.event.order_placed", { defaultValue: event })}</span>
          <time dateTime={at} className="number">
            {dateTimeExact(at, i18n.language)}
          </time>
        </li>
      ))}
    </ol>
  );
}

type Asked = "cancel" | "confirm" | "refund" | null;

function Actions({ order }: { order: OrderDetail }) {
  const { t } = useTranslation();
  const isUnpaid = order.status === Status.Unpaid;
  const now = useServerSecond(isUnpaid);
  const [asked, setAsked] = useState<Asked>(null);
  const close = () => setAsked(null);
  return (
    <>
      {canBePaid(order, now) && !isClosing(order.timeline) && (
        <ButtonLink to={`/orders/${order.order_no}/pay`} look="primary" size="big">
          {t("orders.pay")}
          {order.pay_deadline != null && (
            <span className="number small">{clockText(remaining(Date.parse(order.pay_deadline), now))}</span>
          )}
        </ButtonLink>
      )}
      {isUnpaid && !isClosing(order.timeline) && (
        <Button onClick={() => setAsked("cancel")}>{t("order.cancel")}</Button>
      )}
      {order.status === Status.Shipped && (
        <Button look="primary" onClick={() => setAsked("confirm")}>
          {t("order.confirm")}
        </Button>
      )}
      {order.status === Status.Paid && (
        <Button onClick={() => setAsked("refund")}>{t("order.refund")}</Button>
      )}
      {asked === "refund" && <RefundDialog order={order} onClose={close} />}
      {(asked === "cancel" || asked === "confirm") && (
        <Ask what={asked} orderNo={order.order_no} onClose={close} />
      )}
    </>
  );
}

function Ask({
  what,
  orderNo,
  onClose,
}: {
  what: "cancel" | "confirm";
  orderNo: string;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const isCancel = what === "cancel";
  const act = useMutation({
    mutationFn: () => {
      const params = { path: { order_no: orderNo } };
      return done(
        isCancel
          ? api.POST("/api/order/{order_no}/cancel", { params })
          : api.POST("/api/order/{order_no}/confirm", { params }),
      );
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: orderKey(orderNo) });
      void client.invalidateQueries({ queryKey: ["mine", "orders"] });
      onClose();
    },
  });
  return (
    <Question
      title={isCancel ? t("order.cancelAsk") : t("order.confirmAsk")}
      hint={isCancel ? t("order.cancelHint") : t("order.confirmHint")}
      yes={isCancel ? t("order.cancel") : t("order.confirm")}
      no={t("order.keep")}
      isGrave={isCancel}
      busy={act.isPending}
      problem={act.isError && <ErrorNote error={act.error} />}
      onYes={() => act.mutate()}
      onClose={onClose}
    />
  );
}
