/** What a product and a category are in a form, and what of a changed form is sent. Pure. */
import type { components } from "../../../api/schema";

type Product = components["schemas"]["ProductView"];
type Category = components["schemas"]["CategoryView"];

/** Bounds of the API. */
export const PICTURES_MAX = 20;
export const NAME_MAX = 200;
export const DESCRIPTION_MAX = 20_000;
export const UNITS_MAX = 100_000_000;

export interface Branch {
  id: number;
  name: string;
  parent_id: number;
  position: number;
  /** 0 at the top. */
  depth: number;
  /** Below it, at any depth. */
  below: readonly number[];
}

/** The tree as a list, each branch before what is below it. */
export function branches(tree: readonly Category[], depth = 0): Branch[] {
  return tree.flatMap(({ id, name, parent_id, position, children }) => {
    const rest = branches(children, depth + 1);
    return [{ id, name, parent_id, position, depth, below: rest.map((branch) => branch.id) }, ...rest];
  });
}

/** Where a branch may be put: anywhere but below itself. */
export function possibleParents(all: readonly Branch[], id: number | null): Branch[] {
  const own = all.find((branch) => branch.id === id);
  return all.filter((branch) => branch.id !== id && !own?.below.includes(branch.id));
}

export interface Trait {
  name: string;
  value: string;
}

/** Values that are no texts are shown as JSON. */
export function traitsOf(attributes: Record<string, unknown>): Trait[] {
  return Object.entries(attributes).map(([name, value]) => ({ name, value: shown(value) }));
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The attributes that rows say; a value that was no text and was not touched stays what it was. */
export function attributesOf(
  traits: readonly Trait[],
  before: Record<string, unknown> = {},
): Record<string, unknown> {
  const named = traits.map(({ name, value }) => ({ name: name.trim(), value: value.trim() }));
  return Object.fromEntries(
    named
      .filter(({ name }) => name !== "")
      .map(({ name, value }) => {
        const known = before[name];
        return [name, known !== undefined && shown(known) === value ? known : value];
      }),
  );
}

export interface ProductForm {
  name: string;
  description: string;
  price: string;
  category_id: string;
  isOnShelf: boolean;
  pictures: readonly string[];
  traits: readonly Trait[];
}

export function picturesOf({ image_url, images }: Pick<Product, "image_url" | "images">): string[] {
  return [...new Set([image_url, ...images].filter(Boolean))];
}

export function formOf(product: Product): ProductForm {
  return {
    name: product.name,
    description: product.description,
    price: product.price.toFixed(2),
    category_id: String(product.category_id),
    isOnShelf: product.status === 1,
    pictures: picturesOf(product),
    traits: traitsOf(product.attributes),
  };
}

/** What is sent of a product; never its units, which are moved and not overwritten. */
export function bodyOf(form: ProductForm, before: Record<string, unknown> = {}) {
  return {
    name: form.name.trim(),
    description: form.description.trim(),
    price: Number(form.price),
    category: form.category_id,
    image_url: form.pictures[0] ?? "",
    images: [...form.pictures],
    // The description calls any object of JSON a record of nothing.
    attributes: attributesOf(form.traits, before) as Record<string, never>,
    status: form.isOnShelf ? 1 : 0,
  };
}

/** Only what differs: two administrators who change different fields do not undo each other. */
export function changesOf(form: ProductForm, product: Product): Partial<ReturnType<typeof bodyOf>> {
  const wanted = bodyOf(form, product.attributes);
  const known = bodyOf(formOf(product), product.attributes);
  const names = Object.keys(wanted) as (keyof typeof wanted)[];
  return Object.fromEntries(
    names
      .filter((name) => JSON.stringify(wanted[name]) !== JSON.stringify(known[name]))
      .map((name) => [name, wanted[name]]),
  );
}

/** `list` with the entry at `from` moved to `to`. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const rest = list.filter((_, index) => index !== from);
  const entry = list[from];
  return entry === undefined ? rest : [...rest.slice(0, to), entry, ...rest.slice(to)];
}
