/** Line icons drawn for this shop. */
import { LineIcon } from "./LineIcon";

const PATHS = {
  bolt: "M13 2.5 5 13.2h5.6L10 21.5l8-10.7h-5.600z",
  home: "M4 11 12 4l8 7v8.500a.5.5 0 0 1-.5.5H15v-5.500H9V20H4.500a.5.5 0 0 1-.5-.5z",
  grid: "M4.500 4.500h6v6h-6zM13.500 4.500h6v6h-6zM4.500 13.500h6v6h-6zM13.500 13.500h6v6h-6z",
  cart: "M3 4h2.200l2 11h10.600l2-8H6M9 19.200h.01M16.500 19.200h.01",
  box: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  person:
    "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20c.8-3.600 3.800-5.500 7.500-5.500s6.700 1.900 7.500 5.500",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.500 4.500",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.500 10 17.500 19.500 7",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  eyeOff:
    "M4 4l16 16M9.500 6a9 9 0 0 1 2.500-.5c6 0 9.500 6.500 9.500 6.500a16 16 0 0 1-2.600 3.300M6.300 7.800A16 16 0 0 0 2.500 12S6 18.500 12 18.500c1.600 0 3-.5 4.300-1.100",
  warn: "M12 4 2.800 19.500h18.400zM12 10v4.500M12 17h.01",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.500 2",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7M10.500 11v5M13.500 11v5",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  filter: "M4 6h16M7 12h10M10 18h4",
  pin: "M12 21s7-6.300 7-11.500A7 7 0 0 0 5 9.500C5 14.700 12 21 12 21zM12 12a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  device: "M4 5h16v11H4zM9 20h6M12 16v4",
  key: "M14.500 9.500a4 4 0 1 0-3.600 4L13 15.500h2V18h2.500v2.500H21V17l-6.800-6",
  exit: "M14 4h5v16h-5M4 12h10M10.500 8.500 14 12l-3.500 3.500",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 2.500-2.500L20 17M15.500 9.500h.01",
  external: "M9 5H5v14h14v-4M13 5h6v6M19 5l-9 9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 22 }: { name: IconName; size?: number }) {
  return <LineIcon path={PATHS[name]} size={size} isFilled={name === "bolt"} />;
}
