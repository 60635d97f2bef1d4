/** One product's units: where they are, how they came there, and moving some. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { count } from "../../../lib/format";
import { Button, ButtonLink, ErrorNote, LoadingBlocks, Note } from "../../../ui/Basics";
import { PageHead, Section, Stat, When } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { stockQuery, type Pool, type StockBook } from "../queries";
import { LedgerDialog, type LedgerWord } from "./LedgerDialog";
import { Movements } from "./Movements";
import { MoveUnits, type MoveWord } from "./MoveUnits";
import { PoolName } from "./PoolName";

type Asked = { move: MoveWord } | { ledger: LedgerWord };

export function StockPage() {
  const id = Number(useParams().id);
  const { page } = useTableState([]);
  const found = useQuery({ ...stockQuery(id, page), placeholderData: keepPreviousData });
  if (found.data) return <Shown key={id} book={found.data} isStale={found.isPlaceholderData} />;
  return found.error ? <ErrorNote error={found.error} onRetry={found.refetch} /> : <LoadingBlocks />;
}

function Shown({ book, isStale }: { book: StockBook; isStale: boolean }) {
  const { t, i18n } = useTranslation("desk");
  const [asked, setAsked] = useState<Asked | null>(null);
  const shown = (units: number) => count(units, i18n.language);
  const close = () => setAsked(null);
  return (
    <div className="stack">
      <PageHead title={t("stock.of", { name: book.product_name })}>
        <ButtonLink to={`/admin/products/${book.product_id}`} size="compact">
          {t("products.edit")}
        </ButtonLink>
      </PageHead>
      {book.sold_out_since && (
        <Note tone="warn">
          {t("stock.declared")} <When at={book.sold_out_since} exact />
        </Note>
      )}
      <dl className="stats roomy">
        <Stat label={t("stock.free")} value={shown(book.free)} testid="stock-free" />
        <Stat label={t("products.inSales")} value={shown(book.in_sales)} testid="stock-in-sales" />
        <Stat label={t("stock.held")} value={shown(book.held)} testid="stock-held" />
        <Stat label={t("stock.sold")} value={shown(book.sold)} testid="stock-sold" />
        <Stat label={t("stock.putIn")} value={shown(book.put_in)} />
      </dl>
      <div className="row">
        <Button look="primary" onClick={() => setAsked({ move: "add" })}>
          {t("stock.add")}
        </Button>
        <Button onClick={() => setAsked({ move: "takeOut" })}>{t("stock.takeOut")}</Button>
        <Button onClick={() => setAsked({ move: "correct" })}>{t("stock.correct")}</Button>
        <span className="grow" />
        <Button look="quiet" size="compact" onClick={() => setAsked({ ledger: "set-sold-out" })}>
          {t("stock.setSoldOut")}
        </Button>
        <Button look="quiet" size="compact" onClick={() => setAsked({ ledger: "clear-sold-out" })}>
          {t("stock.soldOut")}
        </Button>
        <Button look="quiet" size="compact" onClick={() => setAsked({ ledger: "rebuild" })}>
          {t("stock.ledger")}
        </Button>
      </div>
      {book.pools.length > 1 && <Pools pools={book.pools} />}
      <Movements book={book} isStale={isStale} />
      {asked && "ledger" in asked && (
        <LedgerDialog productId={book.product_id} word={asked.ledger} onClose={close} />
      )}
      {asked && "move" in asked && <MoveUnits book={book} word={asked.move} onClose={close} />}
    </div>
  );
}

/** Where the gate in front of the books says otherwise, tickets are on their way into them. */
function Pools({ pools }: { pools: readonly Pool[] }) {
  const { t, i18n } = useTranslation("desk");
  const shown = (units: number | null | undefined) => (units == null ? "—" : count(units, i18n.language));
  return (
    <Section title={t("stock.pools")}>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls: the keyboard has to get there */}
      <div className="wide-table" tabIndex={0} role="region" aria-label={t("stock.pools")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("stock.pool")}</th>
              <th scope="col">{t("stock.free")}</th>
              <th scope="col">{t("stock.gateFree")}</th>
              <th scope="col">{t("stock.held")}</th>
              <th scope="col">{t("stock.sold")}</th>
              <th scope="col">{t("stock.putIn")}</th>
            </tr>
          </thead>
          <tbody>
            {pools.map((pool) => (
              <tr key={pool.sale_id ?? 0}>
                <th scope="row">
                  <PoolName saleId={pool.sale_id} />
                </th>
                <td>{shown(pool.free)}</td>
                <td>{shown(pool.gate_free)}</td>
                <td>{shown(pool.held)}</td>
                <td>{shown(pool.sold)}</td>
                <td>{shown(pool.put_in)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
