import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Product } from "../api/queries";
import { count as counted } from "../lib/format";
import { Loading, Picture, Price } from "./Basics";

export function ProductTiles({ products, isFirst }: { products: readonly Product[]; isFirst?: boolean }) {
  const { t, i18n } = useTranslation();
  return (
    <ul className="tiles">
      {products.map(({ id, name, image_url, price, sales, stock }, index) => (
        <li key={id} className={stock > 0 ? "tile" : "tile gone"}>
          <Picture src={image_url} eager={isFirst === true && index < 4} />
          {stock <= 0 && <span className="tag corner">{t("list.soldOut")}</span>}
          <div className="tile-body">
            <Link to={`/products/${id}`} className="tile-name">
              {name}
            </Link>
            <div className="tile-foot">
              <Price amount={price} />
              {sales > 0 && (
                <span className="small muted">
                  {t("product.sold", { amount: counted(sales, i18n.language) })}
                </span>
              )}
            </div>
          </div>
        </li>
      ))}
    </ul>
  );
}

export function TilesLoading({ count = 8 }: { count?: number }) {
  return (
    <Loading>
      <div className="tiles">
        {Array.from({ length: count }, (_, index) => (
          <div key={index} className="tile">
            <span className="bone picture" />
            <div className="tile-body">
              <span className="bone text" />
              <span className="bone text short" />
            </div>
          </div>
        ))}
      </div>
    </Loading>
  );
}
