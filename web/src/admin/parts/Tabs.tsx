import { NavLink } from "react-router";
import { Tabs as Row } from "../../ui/Tabs";

/** Pages beside each other: each has its own address. */
export function Tabs({
  label,
  tabs,
}: {
  label: string;
  tabs: readonly (readonly [to: string, words: string])[];
}) {
  return (
    <Row label={label}>
      {tabs.map(([to, words]) => (
        <NavLink key={to} to={to} end>
          {words}
        </NavLink>
      ))}
    </Row>
  );
}
