/** One order as an administrator has to judge it: its money, its journal with the verdict on its hashes, what is owed, and what can be done. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { money } from "../../lib/format";
import { Button, ErrorNote, LoadingBlocks, Note, Price } from "../../ui/Basics";
import { StatusTag } from "../../ui/OrderParts";
import { PaymentRows, RefundRows } from "../money/MoneyRows";
import { Json } from "../parts/Json";
import { Facts, Mono, PageHead, Section, Tag, When } from "../parts/Parts";
import { order, type AdminOrder } from "../queries";
import { Journal } from "./Journal";
import { OrderCommand } from "./OrderCommand";
import { ShipOrder } from "./ShipOrder";
import { actionsOf, type Action } from "./actions";
import { addressText } from "./parcel";

export function OrderPage() {
  const { orderNo = "" } = useParams();
  const { t } = useTranslation("admin");
  const found = useQuery(order(orderNo));
  const [asked, setAsked] = useState<Action["word"] | null>(null);
  const close = () => setAsked(null);
  return (
    <div className="stack loose">
      <PageHead title={t("orders.title", { number: orderNo })}>
        <Link to="/admin/orders" className="small">
          {t("orders.all")}
        </Link>
      </PageHead>
      {found.isPending && <LoadingBlocks />}
      {found.isError && !found.data && <ErrorNote error={found.error} onRetry={found.refetch} />}
      {found.data && <Known order={found.data} onAsk={setAsked} />}
      {found.data && asked === "ship" && <ShipOrder order={found.data} onClose={close} />}
      {found.data && asked && asked !== "ship" && (
        <OrderCommand order={found.data} word={asked} onClose={close} />
      )}
    </div>
  );
}

type Reason = "bill_differs";

function Known({ order: shown, onAsk }: { order: AdminOrder; onAsk: (word: Action["word"]) => void }) {
  const { t } = useTranslation("admin");
  return (
    <>
      {shown.needs_review && (
        <Note tone="warn">
          <p>
            {t("orders.reviewNote", {
              reason: t(`orders.reason.${shown.review_reason as Reason}`, {
                defaultValue: shown.review_reason ?? "",
              }),
            })}
          </p>
        </Note>
      )}
      <div className="row" role="group" aria-label={t("orders.actions")}>
        {actionsOf(shown).map(({ word, isGrave }) => (
          <Button
            key={word}
            size="compact"
            {...(isGrave && { look: "danger" as const })}
            {...(word === "ship" && { look: "primary" as const })}
            onClick={() => onAsk(word)}
          >
            {word === "ship" ? t("orders.ship") : t(`actors.command.${word}`)}
          </Button>
        ))}
      </div>
      <div className="columns">
        <About order={shown} />
        <Goods order={shown} />
      </div>
      <Section title={t("orders.payments")}>
        <PaymentRows payments={shown.payments} isOwn />
      </Section>
      {shown.refunds.length > 0 && (
        <Section title={t("orders.refunds")}>
          <RefundRows refunds={shown.refunds} isOwn />
        </Section>
      )}
      <Owed owed={shown.owed} />
      <Journal journal={shown.journal} />
    </>
  );
}

function About({ order: shown }: { order: AdminOrder }) {
  const { t } = useTranslation("admin");
  return (
    <Section
      title={t("orders.about")}
      aside={
        <span className="row">
          <StatusTag order={shown} />
          {shown.true_status === 9 && <Tag tone="warn">{t("orders.closing")}</Tag>}
          {shown.needs_review && <Tag tone="bad">{t("orders.review")}</Tag>}
        </span>
      }
    >
      <Facts
        facts={[
          [t("orders.number"), <Mono key="number" text={shown.order_no} />],
          [t("orders.buyer"), `${shown.username} (${shown.user_id})`],
          [t("orders.sale"), shown.sale_id],
          [t("orders.created"), <When key="created" at={shown.created_at} exact />],
          [
            t("orders.payBefore"),
            shown.pay_deadline && <When key="deadline" at={shown.pay_deadline} exact />,
          ],
          [t("orders.paidAt"), shown.paid_at && <When key="paid" at={shown.paid_at} exact />],
          [t("orders.shippedAt"), shown.shipped_at && <When key="shipped" at={shown.shipped_at} exact />],
          [
            t("orders.completedAt"),
            shown.completed_at && <When key="completed" at={shown.completed_at} exact />,
          ],
          [t("orders.endReason"), shown.end_reason],
          [t("orders.carrier"), shown.carrier],
          [t("orders.tracking"), shown.tracking_no && <Mono key="tracking" text={shown.tracking_no} />],
          [t("orders.remark"), shown.remark],
        ]}
      />
    </Section>
  );
}

function Goods({ order: shown }: { order: AdminOrder }) {
  const { t } = useTranslation("admin");
  return (
    <Section title={t("orders.goods")} aside={<Price amount={shown.total_price} plain />}>
      <ul className="goods">
        {shown.items.map((item) => (
          <li key={item.product_id}>
            <Link to={`/products/${item.product_id}`} className="two-lines">
              {item.product_name}
            </Link>
            <span className="number nowrap">
              {money(item.price)} × {item.quantity}
            </span>
          </li>
        ))}
      </ul>
      <Facts
        facts={[
          [t("orders.refunded"), shown.refunded > 0 && money(shown.refunded)],
          [t("orders.address"), shown.address && addressText(shown.address)],
        ]}
      />
    </Section>
  );
}

function Owed({ owed }: { owed: AdminOrder["owed"] }) {
  const { t } = useTranslation("admin");
  if (owed.length === 0) return null;
  return (
    <Section title={t("orders.owed")}>
      <ul className="stack">
        {owed.map(({ seq, kind, attempts, last_error, effect }) => (
          <li key={`${seq} ${kind}`} className="stack tight">
            <span className="row">
              <span className="mono">{kind}</span>
              <Tag tone={attempts > 0 ? "warn" : ""}>{t("orders.attempts", { count: attempts })}</Tag>
            </span>
            {last_error && <p className="small mono">{last_error}</p>}
            <Json value={effect} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
