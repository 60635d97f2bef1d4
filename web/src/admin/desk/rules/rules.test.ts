import { describe, expect, test } from "vitest";
import { brief, pageOf, readFilter } from "./acts";
import * as catalogue from "./catalogue";
import { isRate, modeOf, rateOf } from "./room";
import * as sales from "./sales";
import { changesOf as settingChanges, matching, outcomeOf, settingsOf } from "./settings";
import { unitsOf } from "./units";
import { daysOf, noonOf, shares, shortDay } from "./figures";
import { isFailing } from "./webhooks";
import { inputOf, isoOf, momentOf, nextHour } from "./when";

const product = {
  id: 7,
  name: "Tea",
  description: "green",
  price: 12_345_678.9,
  stock: 5,
  category: "Food",
  category_id: 3,
  image_url: "/photos/a.svg",
  images: ["/photos/a.svg", "/photos/b.svg"],
  attributes: { weight: 250, leaf: "whole" } as unknown as Record<string, never>,
  sales: 0,
  rating: 0,
  status: 1,
  created_at: "2026-11-21T10:00:00+08:00",
};

describe("a product's form", () => {
  test("that was not touched sends nothing", () => {
    expect(catalogue.changesOf(catalogue.formOf(product), product)).toEqual({});
  });

  test("sends what was touched and never the units", () => {
    const form = { ...catalogue.formOf(product), price: "9.90", isOnShelf: false };
    expect(catalogue.changesOf(form, product)).toEqual({ price: 9.9, status: 0 });
    expect(Object.keys(catalogue.bodyOf(form))).not.toContain("stock");
  });

  test("keeps attributes that are no texts, unless they are written over", () => {
    const traits = catalogue.traitsOf(product.attributes);
    expect(traits).toEqual([
      { name: "weight", value: "250" },
      { name: "leaf", value: "whole" },
    ]);
    expect(catalogue.attributesOf(traits, product.attributes)).toEqual({ weight: 250, leaf: "whole" });
    const changed = [
      { name: " weight ", value: "300 g" },
      { name: "", value: "nothing" },
    ];
    expect(catalogue.attributesOf(changed, product.attributes)).toEqual({ weight: "300 g" });
  });

  test("has its first picture shown in lists", () => {
    const form = { ...catalogue.formOf(product), pictures: ["/photos/b.svg", "/photos/a.svg"] };
    expect(catalogue.changesOf(form, product)).toEqual({
      image_url: "/photos/b.svg",
      images: ["/photos/b.svg", "/photos/a.svg"],
    });
  });

  test("moves a picture to the front and to the end", () => {
    expect(catalogue.moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
    expect(catalogue.moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  });
});

describe("categories", () => {
  const leaf = { id: 3, name: "Tea", parent_id: 2, position: 0, children: [] };
  const tree = [
    {
      id: 1,
      name: "Food",
      parent_id: 0,
      position: 0,
      children: [{ id: 2, name: "Drinks", parent_id: 1, position: 0, children: [leaf] }],
    },
    { id: 4, name: "Books", parent_id: 0, position: 1, children: [] },
  ];

  test("stand as a list with their depth", () => {
    const list = catalogue.branches(tree);
    expect(list.map(({ id, depth }) => [id, depth])).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 0],
    ]);
  });

  test("never go below themselves", () => {
    const list = catalogue.branches(tree);
    expect(catalogue.possibleParents(list, 1).map(({ id }) => id)).toEqual([4]);
    expect(catalogue.possibleParents(list, 2).map(({ id }) => id)).toEqual([1, 4]);
    expect(catalogue.possibleParents(list, null)).toHaveLength(4);
  });
});

describe("a sale", () => {
  const sale = {
    start_at: "2026-11-21T10:00:00+08:00",
    end_at: "2026-11-21T12:00:00+08:00",
    closed: false,
    stock: 40,
    price: 9.9,
    per_user_limit: 1,
  };
  const at = (text: string) => Date.parse(text);

  test("opens with its first moment and ends before its last", () => {
    expect(sales.phaseOf(sale, at(sale.start_at) - 1)).toBe("upcoming");
    expect(sales.phaseOf(sale, at(sale.start_at))).toBe("open");
    expect(sales.phaseOf(sale, at(sale.end_at))).toBe("ended");
    expect(sales.phaseOf({ ...sale, closed: true }, at(sale.start_at))).toBe("closed");
  });

  test("that is closed stays as it is", () => {
    expect(sales.actionsOf("closed")).toEqual([]);
    expect(sales.actionsOf("open")).not.toContain("openNow");
    expect(sales.actionsOf("ended")).toContain("close");
  });

  test("is changed in what was touched only", () => {
    const shown = sales.formOf(sale);
    expect(sales.changesOf(shown, shown)).toEqual({});
    expect(sales.changesOf({ ...shown, stock: "50" }, shown)).toEqual({ stock: 50 });
    const later = { ...shown, end_at: inputOf(at("2026-11-21T13:00:00+08:00")) };
    expect(sales.changesOf(later, shown)).toEqual({ end_at: "2026-11-21T05:00:00.000Z" });
  });

  test("has a window that is one", () => {
    const window = (start_at: string, end_at: string) => sales.windowProblem({ start_at, end_at });
    expect(window("2026-11-21T10:00", "2026-11-21T10:01")).toBeNull();
    expect(window("", "2026-11-21T10:01")).toBe("time");
    expect(window("2026-11-21T10:00", "2026-11-21T10:00")).toBe("endBeforeStart");
    expect(window("2026-11-21T10:00", "2027-11-23T10:00")).toBe("tooLongOpen");
  });
});

test("a moment survives the way through a field", () => {
  const ms = Date.parse("2026-11-21T23:59:58+08:00");
  expect(momentOf(inputOf(ms))).toBe(ms);
  expect(isoOf(inputOf(ms))).toBe("2026-11-21T15:59:58.000Z");
  expect(momentOf("tomorrow")).toBeNull();
  expect(nextHour(Date.parse("2026-11-21T23:59:58"))).toBe(Date.parse("2026-11-22T00:00:00"));
});

describe("an act", () => {
  test("leads to what it was done to", () => {
    expect(pageOf("sale 7")).toBe("/admin/sales/7");
    expect(pageOf("order 01KAB")).toBe("/admin/orders/01KAB");
    expect(pageOf("inventory *")).toBeNull();
    expect(pageOf("product ../x")).toBeNull();
  });

  test("reads as one line", () => {
    expect(brief({ name: "Tea", stock: 5, status: null, reason: "" })).toBe("name: Tea · stock: 5");
    expect(brief(null)).toBe("");
    expect(brief({ nodes: [{ reached: 1 }] })).toBe('nodes: [{"reached":1}]');
  });

  test("is searched by whole days and whole numbers", () => {
    expect(readFilter({ action: "sale.*", actor: "12", failures: "true" })).toEqual({
      action: "sale.*",
      actor_id: 12,
      failures: true,
    });
    expect(readFilter({ actor: "abc", from: "yesterday" })).toEqual({});
    const { from = "", to = "" } = readFilter({ from: "2026-11-21", to: "2026-11-21" });
    expect(Date.parse(to) - Date.parse(from)).toBe(24 * 3_600_000);
  });
});

describe("settings", () => {
  const told = settingsOf([
    { key: "limits.sockets_max", value: "1000", origin: "default", live: true },
    { key: "http.port", value: "8080", origin: "conf/shop.toml", live: false },
    { key: "auth.seed", value: '"***"', origin: "RUSHMALL__AUTH__SEED" },
  ]);

  test("are found by key and value, and by what may change live", () => {
    expect(matching(told, "PORT", false).map(({ key }) => key)).toEqual(["http.port"]);
    expect(matching(told, "1000", false)).toHaveLength(1);
    expect(matching(told, "", true).map(({ key }) => key)).toEqual(["limits.sockets_max"]);
  });

  test("that changed read as they were and are", () => {
    expect(settingChanges([{ key: "a", from: "1", to: 2 }])).toEqual([{ key: "a", from: "1", to: "2" }]);
  });

  test("are not in effect if the node said an unknown word", () => {
    expect([outcomeOf("applied"), outcomeOf("postponed")]).toEqual(["applied", "refused"]);
  });
});

test("units are whole numbers within what the shop can keep", () => {
  expect([unitsOf(" 1,005 ", 1), unitsOf("0", 0), unitsOf("1e3", 0), unitsOf("-4", 0)]).toEqual([
    1005,
    0,
    null,
    null,
  ]);
  expect([unitsOf("0", 1), unitsOf("100000000", 1), unitsOf("100000001", 1)]).toEqual([
    null,
    100_000_000,
    null,
  ]);
});

test("bars stand by size, each beside the largest, without those of nothing", () => {
  expect(shares({ a: 5, b: 10, c: 0 })).toEqual([
    { name: "b", amount: 10, share: 1 },
    { name: "a", amount: 5, share: 0.5 },
  ]);
  expect(shares({})).toEqual([]);
});

test("a day of Beijing is called the same wherever the reader is", () => {
  expect(shortDay(noonOf("2026-11-21"))).toBe("11-21");
  expect(shortDay(Date.parse("2026-11-20T16:00:00Z") / 1000)).toBe("11-21");
  expect([daysOf("7"), daysOf("8"), daysOf(undefined)]).toEqual([7, 30, 30]);
});

test("an error of a webhook is over once something was taken after it", () => {
  const [earlier, later] = ["2026-11-21T10:00:00+08:00", "2026-11-21T10:00:01+08:00"];
  expect(isFailing({ last_ok_at: null, last_error_at: null })).toBe(false);
  expect(isFailing({ last_ok_at: null, last_error_at: earlier })).toBe(true);
  expect(isFailing({ last_ok_at: earlier, last_error_at: later })).toBe(true);
  expect(isFailing({ last_ok_at: later, last_error_at: earlier })).toBe(false);
});

describe("a waiting room", () => {
  test("is of the sale, of the settings, or off", () => {
    expect(modeOf({ admissions_per_second: 5, is_own: true })).toBe("own");
    expect(modeOf({ admissions_per_second: 0, is_own: true })).toBe("off");
    expect(modeOf({ admissions_per_second: 5, is_own: false })).toBe("settings");
  });

  test("is told as a rate, as nothing, or as none", () => {
    expect([rateOf("own", " 200 "), rateOf("off", "200"), rateOf("settings", "200")]).toEqual([200, 0, null]);
  });

  test("has a whole rate that the server takes", () => {
    expect(["1", " 1000000 "].every(isRate)).toBe(true);
    expect(["", "0", "1.5", "-1", "1000001", "many", "99999999"].some(isRate)).toBe(false);
  });
});
