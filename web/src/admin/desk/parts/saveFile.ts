/** Gives the reader an answer of the server as a file. */
import { errorOf } from "../../../api/error";

export async function saveFile(
  { response, error }: { response: Response; error?: unknown },
  name: string,
): Promise<void> {
  if (!response.ok) throw errorOf(response.status, error);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has to have begun before the address goes.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
