import type { ReactNode } from "react";
import { Link } from "react-router";
import { Picture } from "../../../ui/Basics";

/** A product in a table: its picture, and its name, which leads on. */
export function ProductCell({
  picture,
  name,
  to,
  children,
}: {
  picture: string;
  name: string;
  to: string;
  children?: ReactNode;
}) {
  return (
    <span className="product-cell">
      <Picture src={picture} className="tiny" />
      <span className="stack-inline">
        <Link to={to} className="two-lines">
          {name}
        </Link>
        {children}
      </span>
    </span>
  );
}
