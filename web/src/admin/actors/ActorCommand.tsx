/** One command to one actor or many: said in words before it is sent, and told node by node afterwards. */
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, dataOf } from "../../api/client";
import { formText } from "../../lib/formText";
import { Note } from "../../ui/Basics";
import { Field as TextField } from "../../ui/Field";
import { CommandDialog } from "../parts/CommandDialog";
import { Json } from "../parts/Json";
import { NodeResults, isNodeList } from "../parts/NodeResults";
import { commandOf, readFields, type Field, type Word } from "./commands";

export interface Ask {
  kind: string;
  key: string;
  command: Word;
  /** Only there. */
  node?: string;
  /** Only those in this state. */
  state?: string;
}

export function ActorCommand({ ask, onClose }: { ask: Ask; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const command = commandOf(ask.kind, ask.command);
  const { optional = [], fields = [] } = command;
  const read = (form: FormData) => readFields(command, (name) => formText(form, name));
  const name = t(`actors.command.${ask.command}`);
  const whom = useWhom(ask);
  return (
    <CommandDialog<unknown>
      title={`${name}: ${whom}`}
      hint={<p>{t(`actors.says.${ask.command}`)}</p>}
      yes={name}
      isGrave={command.isGrave ?? false}
      check={({ form }) => {
        const wrong = read(form);
        return typeof wrong === "string" ? t(`actors.wrong.${wrong}`) : undefined;
      }}
      send={(key, { form }) => {
        const given = read(form);
        return dataOf(
          api.POST("/api/admin/actors/{kind}/{key}/{command}", {
            params: {
              path: { kind: ask.kind, key: ask.key, command: ask.command },
              header: { "Idempotency-Key": key },
            },
            body: {
              reason: "",
              ...(typeof given === "object" && given),
              ...(ask.node && { node: ask.node }),
              ...(ask.state && { state: ask.state }),
            },
          }),
        );
      }}
      onDone={() => client.invalidateQueries({ queryKey: ["admin"] })}
      outcome={(data) =>
        isNodeList(data) ? (
          <NodeResults results={data} says />
        ) : (
          <>
            <Note tone="good">{t("command.done")}</Note>
            <Json value={data} />
          </>
        )
      }
      onClose={onClose}
    >
      {fields.map((field) => (
        <FieldOf key={field} field={field} isOptional={optional.includes(field)} />
      ))}
    </CommandDialog>
  );
}

function useWhom({ kind, key, node, state }: Ask): string {
  const { t } = useTranslation("admin");
  const who =
    kind === "*" && key === "*"
      ? t("actors.everyone")
      : key === "*"
        ? t("actors.allOf", { kind })
        : `${kind} ${key}`;
  return [who, state && t(`actors.state.${state as "paused"}`), node && `@ ${node}`]
    .filter(Boolean)
    .join(" ");
}

function FieldOf({ field, isOptional }: { field: Field; isOptional: boolean }) {
  const { t } = useTranslation("admin");
  const isNumber = field === "units" || field === "sale_id" || field === "refund_fee";
  return (
    <TextField
      label={t(`actors.field.${field}`)}
      hint={t(`actors.fieldHint.${field}`)}
      name={field}
      isOptional={isOptional}
      inputMode={isNumber ? (field === "refund_fee" ? "decimal" : "text") : "text"}
      autoComplete="off"
      maxLength={field === "reason" ? 200 : 30}
    />
  );
}
