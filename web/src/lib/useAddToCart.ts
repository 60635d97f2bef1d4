import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, dataOf } from "../api/client";

/** Puts units into the cart; whatever shows the cart is told. */
export function useAddToCart() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (line: { product_id: number; quantity: number }) =>
      dataOf(api.POST("/api/cart", { body: line })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["cart"] }),
  });
}
