import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { order as orderQuery, orderKey, payChannels, type OrderDetail } from "../api/queries";
import { clockText, remaining } from "../lib/format";
import { Status, canBePaid, isClosing, openChannel } from "../lib/orderStatus";
import { useServerSecond, useTitle } from "../lib/hooks";
import { openCharge, payAtOnce, queryPayment } from "../lib/charges";
import { wayToPay, type Channel } from "../lib/pay";
import { usePollInterval } from "../live/LiveOrders";
import { Button, ButtonLink, Empty, ErrorNote, LoadingBlocks, Note, Price } from "../ui/Basics";
import { Icon } from "../ui/Icon";
import { QrCode } from "../ui/QrCode";

export function Pay() {
  const { t } = useTranslation();
  const orderNo = useParams().orderNo ?? "";
  useTitle(t("pay.title"));
  const pollInterval = usePollInterval();
  const found = useQuery({
    ...orderQuery(orderNo),
    // An order that is being written becomes payable within moments.
    refetchInterval: ({ state }) => (state.data?.status === Status.Processing ? 700 : pollInterval),
  });
  if (found.isPending) return <LoadingBlocks count={2} />;
  if (!found.data) return <ErrorNote error={found.error} onRetry={found.refetch} />;
  return (
    <div className="pay stack loose">
      <PayState order={found.data} />
    </div>
  );
}

function PayState({ order }: { order: OrderDetail }) {
  const { t } = useTranslation();
  const now = useServerSecond(order.status === Status.Unpaid);
  if (order.paid_at != null && order.status !== Status.Refunded) return <Paid order={order} />;
  if (order.status === Status.Processing) {
    return (
      <Empty icon="clock" title={t("pay.orderPreparing")}>
        <span className="spinner" />
      </Empty>
    );
  }
  if (!canBePaid(order, now) || isClosing(order.timeline)) {
    return (
      <Empty
        icon="clock"
        title={
          order.status === Status.Unpaid && !isClosing(order.timeline) ? t("pay.expired") : t("pay.closed")
        }
      >
        <ButtonLink to={`/orders/${order.order_no}`}>{t("pay.viewOrder")}</ButtonLink>
      </Empty>
    );
  }
  return <Choose order={order} now={now} />;
}

function Paid({ order }: { order: OrderDetail }) {
  const { t } = useTranslation();
  return (
    <section className="card empty" role="status" data-testid="paid">
      <span className="paid-mark">
        <Icon name="check" size={42} />
      </span>
      <h1>{t("pay.paid")}</h1>
      <Price amount={order.total_price} large plain />
      <p>{t("pay.paidHint")}</p>
      <div className="row">
        <ButtonLink to={`/orders/${order.order_no}`} look="primary">
          {t("pay.viewOrder")}
        </ButtonLink>
        <ButtonLink to="/">{t("pay.goOn")}</ButtonLink>
      </div>
    </section>
  );
}

function Choose({ order, now }: { order: OrderDetail; now: number }) {
  const { t } = useTranslation();
  const offered = useQuery(payChannels);
  const [chosen, setChosen] = useState<Channel | null>(null);
  if (offered.isPending) return <LoadingBlocks count={2} />;
  if (!offered.data) return <ErrorNote error={offered.error} onRetry={offered.refetch} />;
  const { channels, simulated, sandbox } = offered.data;
  const ways: Channel[] = [
    ...(channels.includes("wechat") ? ["wechat" as const] : []),
    ...(channels.includes("alipay") ? ["alipay" as const] : []),
    ...(simulated ? ["simulated" as const] : []),
  ];
  const begun = openChannel(order.timeline);
  const way = chosen ?? ways.find((one) => one === begun) ?? ways[0];
  if (!way) return <Note tone="warn">{t("pay.none")}</Note>;
  const names: Record<Channel, string> = {
    wechat: t("pay.wechat"),
    alipay: t("pay.alipay"),
    simulated: t("pay.simulated"),
  };
  return (
    <>
      <div className="pay-amount">
        <h1>{t("pay.title")}</h1>
        <p className="muted">{order.product_name}</p>
        <Price amount={order.total_price} large />
        {order.pay_deadline != null && (
          <p className="muted small number">
            {t("pay.left", { time: clockText(remaining(Date.parse(order.pay_deadline), now)) })}
          </p>
        )}
      </div>
      <fieldset className="choices">
        <legend className="label">{t("pay.method")}</legend>
        {ways.map((one) => (
          <label key={one} className="choice">
            <input
              type="radio"
              name="way"
              value={one}
              checked={way === one}
              onChange={() => setChosen(one)}
            />
            <span className="stack tight">
              <strong>{names[one]}</strong>
              {one === "simulated" && <span className="small muted">{t("pay.simulatedHint")}</span>}
            </span>
          </label>
        ))}
      </fieldset>
      {way === "simulated" ? (
        <Simulated order={order} />
      ) : (
        <Charge key={way} order={order} channel={way} sandbox={sandbox ?? null} />
      )}
    </>
  );
}

function Simulated({ order }: { order: OrderDetail }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const pay = useMutation({
    mutationFn: () => payAtOnce(order.order_no),
    onSettled: () => client.invalidateQueries({ queryKey: orderKey(order.order_no) }),
  });
  return (
    <section className="card stack">
      {pay.isError && <ErrorNote error={pay.error} />}
      <Button look="primary" size="big" wide busy={pay.isPending} onClick={() => pay.mutate()}>
        {t("pay.payNow")}
      </Button>
    </section>
  );
}

function Charge({
  order,
  channel,
  sandbox,
}: {
  order: OrderDetail;
  channel: "wechat" | "alipay";
  sandbox: string | null;
}) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const charge = useQuery({
    queryKey: ["mine", "charge", order.order_no, channel],
    queryFn: () => openCharge(order.order_no, channel),
    staleTime: Infinity,
    gcTime: 0, // coming back to a channel opens it again
    refetchOnWindowFocus: false,
  });
  const check = useMutation({
    mutationFn: () => queryPayment(order.order_no, channel),
    onSettled: () => client.invalidateQueries({ queryKey: orderKey(order.order_no) }),
  });
  if (charge.isPending) {
    return (
      <section className="card qr" role="status">
        <span className="spinner" />
        <p>{t("pay.opening")}</p>
      </section>
    );
  }
  if (!charge.data) return <ErrorNote error={charge.error} onRetry={charge.refetch} />;
  const { qr, link } = wayToPay(charge.data, sandbox, location.origin, i18n.language);
  return (
    <section className="card qr" data-testid="charge">
      <p className="label">{channel === "wechat" ? t("pay.scanWechat") : t("pay.scanAlipay")}</p>
      {qr && <QrCode text={qr} label={t("pay.qr")} />}
      {link && (
        <a className="button" href={link} target="_blank" rel="noreferrer">
          {t("pay.open")}
          <Icon name="external" size={18} />
          <span className="hidden">({t("pay.opensNewTab")})</span>
        </a>
      )}
      {sandbox !== null && <p className="small muted">{t("pay.sandboxHint")}</p>}
      <div className="row" role="status">
        <span className="spinner" aria-hidden="true" />
        <span>{t("pay.waiting")}</span>
      </div>
      {check.isError && <ErrorNote error={check.error} />}
      {check.data && check.data.trade_state !== "SUCCESS" && <Note tone="info">{t("pay.notYet")}</Note>}
      <Button look="quiet" busy={check.isPending} onClick={() => check.mutate()}>
        {t("pay.check")}
      </Button>
    </section>
  );
}
