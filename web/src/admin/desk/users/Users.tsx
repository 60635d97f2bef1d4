/** Whoever has an account. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { DataTable, type Columns } from "../../parts/DataTable";
import { FilterBar } from "../../parts/FilterBar";
import { PageHead, Tag, When } from "../../parts/Parts";
import { useTableState } from "../../parts/useTableState";
import { keys, listUsers, type User } from "../queries";

const FILTERS = ["keyword", "role", "status"] as const;

export function Users() {
  const { t } = useTranslation("desk");
  const table = useTableState(FILTERS);
  const { page, filters } = table;
  const found = useQuery({
    queryKey: [...keys.users, page, filters],
    queryFn: ({ signal }) => {
      const { keyword, role, status } = filters;
      const query = {
        page,
        ...(keyword && { keyword }),
        ...(role && { role: Number(role) }),
        ...(status && { status: Number(status) }),
      };
      return listUsers(query, signal);
    },
    placeholderData: keepPreviousData,
  });
  return (
    <div className="stack">
      <PageHead title={t("users.title")} />
      <FilterBar
        table={table}
        fields={[
          { kind: "text", name: "keyword", label: t("shared.search"), hint: t("users.keyword") },
          {
            kind: "choice",
            name: "role",
            label: t("users.role"),
            options: [
              { value: "1", label: t("users.roles.1") },
              { value: "2", label: t("users.roles.2") },
            ],
          },
          {
            kind: "choice",
            name: "status",
            label: t("shared.status"),
            options: [
              { value: "1", label: t("users.status.1") },
              { value: "0", label: t("users.status.0") },
            ],
          },
        ]}
      />
      <DataTable
        label={t("users.title")}
        columns={useColumns()}
        found={found}
        rowKey={(user) => String(user.id)}
        empty={{ icon: "person", title: t("users.empty") }}
      />
    </div>
  );
}

function useColumns(): Columns<User> {
  const { t } = useTranslation("desk");
  return useMemo(
    () => [
      {
        id: "id",
        header: t("shared.id"),
        meta: { width: "minmax(70px, 0.5fr)", isExtra: true },
        cell: ({ row }) => <span className="number muted">{row.original.id}</span>,
      },
      {
        id: "name",
        header: t("shared.name"),
        meta: { width: "minmax(180px, 2fr)" },
        cell: ({ row: { original: user } }) => (
          <span className="stack-inline">
            <Link to={`/admin/users/${user.id}`}>{user.username}</Link>
            {user.nickname && <span className="small muted">{user.nickname}</span>}
          </span>
        ),
      },
      {
        id: "contact",
        header: t("users.contact"),
        meta: { width: "minmax(170px, 2fr)" },
        cell: ({ row: { original: user } }) =>
          [user.email, user.phone].filter(Boolean).join(" · ") || <span className="muted">—</span>,
      },
      {
        id: "role",
        header: t("users.role"),
        meta: { width: "minmax(110px, 1fr)" },
        cell: ({ row }) => <RoleTag role={row.original.role} />,
      },
      {
        id: "status",
        header: t("shared.status"),
        meta: { width: "minmax(100px, 1fr)" },
        cell: ({ row }) => <AccessTag status={row.original.status} />,
      },
      {
        id: "since",
        header: t("users.since"),
        meta: { width: "minmax(136px, 1fr)" },
        cell: ({ row }) => <When at={row.original.created_at} />,
      },
    ],
    [t],
  );
}

export function RoleTag({ role }: { role: number }) {
  const { t } = useTranslation("desk");
  return role === 2 ? <Tag tone="info">{t("users.roles.2")}</Tag> : <Tag>{t("users.roles.1")}</Tag>;
}

export function AccessTag({ status }: { status: number }) {
  const { t } = useTranslation("desk");
  return status === 1 ? (
    <Tag tone="good">{t("users.status.1")}</Tag>
  ) : (
    <Tag tone="bad">{t("users.status.0")}</Tag>
  );
}
