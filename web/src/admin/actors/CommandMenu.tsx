/** The commands that hold for every kind, behind one button. */
import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import type { Ask } from "./ActorCommand";
import { COMMON } from "./commands";

export function CommandMenu({ whom, onAsk }: { whom: Omit<Ask, "command">; onAsk: (ask: Ask) => void }) {
  const { t } = useTranslation("admin");
  const name = [whom.kind, whom.key, whom.node && `@ ${whom.node}`].filter(Boolean).join(" ");
  return (
    // Not modal: a modal one would need styles in the page, which the content security policy forbids.
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="icon-button small-icon" aria-label={t("actors.commandsOf", { name })}>
        <span aria-hidden="true">⋯</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4}>
          <DropdownMenu.Label className="menu-item muted small">{name}</DropdownMenu.Label>
          {COMMON.map((command) => (
            <DropdownMenu.Item
              key={command.word}
              className={"isGrave" in command ? "menu-item grave" : "menu-item"}
              onSelect={() => onAsk({ ...whom, command: command.word })}
            >
              {t(`actors.command.${command.word}`)}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
