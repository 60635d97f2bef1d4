/** Takes pictures from the administrator's machine; one after the other, so that each refusal names its file. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, dataOf, withFile, wordsOf } from "../../../api/client";
import { Note } from "../../../ui/Basics";

const TAKEN = "image/jpeg,image/png,image/gif,image/webp";

function upload(file: File): Promise<{ url: string }> {
  return dataOf(
    api.POST("/api/upload", {
      // The description says what the form holds, not that a browser sends it as one.
      body: { file: "" },
      bodySerializer: () => {
        const form = new FormData();
        form.set("file", file);
        return form;
      },
      fetch: withFile,
    }),
  );
}

export function Upload({ room, onAdd }: { room: number; onAdd: (urls: string[]) => void }) {
  const { t } = useTranslation("desk");
  const { t: ofShop } = useTranslation();
  const [isBusy, setBusy] = useState(false);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const take = async (files: readonly File[]) => {
    setBusy(true);
    setProblems([]);
    const wrong: string[] = [];
    const urls: string[] = [];
    for (const file of files.slice(0, room)) {
      try {
        urls.push((await upload(file)).url);
      } catch (error) {
        wrong.push(`${file.name}: ${wordsOf(error) ?? ofShop("state.unreachable")}`);
      }
    }
    setBusy(false);
    setProblems(wrong);
    if (urls.length > 0) onAdd(urls);
  };
  return (
    <div className="stack tight">
      <label className="button upload" aria-busy={isBusy}>
        {isBusy && <span className="spinner" aria-hidden="true" />}
        {t(isBusy ? "products.uploading" : "products.upload")}
        <input
          type="file"
          className="hidden"
          accept={TAKEN}
          multiple
          disabled={isBusy}
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = ""; // the same file may be chosen again
            void take(files);
          }}
        />
      </label>
      <p className="small muted">{t("products.uploadHint")}</p>
      {problems.length > 0 && (
        <Note tone="bad">
          {problems.map((problem) => (
            <p key={problem}>{problem}</p>
          ))}
        </Note>
      )}
    </div>
  );
}
