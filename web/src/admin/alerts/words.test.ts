import { createInstance, type TFunction } from "i18next";
import { beforeAll, describe, expect, test } from "vitest";
import { adminEn } from "../../i18n/admin.en";
import { adminZh } from "../../i18n/admin.zh";
import { subjectOf, textOf } from "./words";

const low = {
  kind: "low_stock",
  subject: "product 7, sale 3",
  text: "2 left of Tea & <b>cups</b>",
  facts: { product_id: 7, sale_id: 3, name: "Tea & <b>cups</b>", free: 2 },
};

const KINDS = Object.keys(adminEn.alerts.kind);

let zh: TFunction<"admin">;
let en: TFunction<"admin">;

beforeAll(async () => {
  const i18n = createInstance();
  await i18n.init({
    resources: { zh: { admin: adminZh }, en: { admin: adminEn } },
    interpolation: { escapeValue: false },
    initAsync: false,
  });
  zh = i18n.getFixedT("zh", "admin");
  en = i18n.getFixedT("en", "admin");
});

describe("an alert", () => {
  test("is worded from its facts, in either language", () => {
    expect([subjectOf(low, zh), textOf(low, zh)]).toEqual(["商品 7，活动 3", "Tea & <b>cups</b> 只剩 2 件"]);
    expect([subjectOf(low, en), textOf(low, en)]).toEqual(["Product 7, sale 3", low.text]);
    const ordinary = { ...low, facts: { ...low.facts, sale_id: null } };
    expect(subjectOf(ordinary, zh)).toBe("商品 7，普通库存");
  });

  test("counts", () => {
    const waiting = (count: number) => ({ kind: "needs_review", subject: "", text: "", facts: { count } });
    expect(textOf(waiting(1), en)).toBe("1 order waits for a human");
    expect(textOf(waiting(3), en)).toBe("3 orders wait for a human");
    expect(subjectOf(waiting(3), en)).toBe("");
  });

  test("of an older node, or of a kind that came later, is shown as it was worded", () => {
    const { kind, subject, text } = low;
    expect(textOf({ kind, subject, text }, zh)).toBe(text);
    const later = { kind: "later", subject: "node-3", text: "something is wrong", facts: { count: 2 } };
    expect([subjectOf(later, zh), textOf(later, zh)]).toEqual(["node-3", "something is wrong"]);
  });

  test("of every kind has words of its own", () => {
    const facts = { count: 2 };
    for (const kind of KINDS) {
      expect(textOf({ kind, subject: "", text: "as the node said", facts }, zh), kind).not.toBe(
        "as the node said",
      );
    }
  });
});
