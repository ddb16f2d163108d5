// The unbiased Hilbert-Schmidt independence criterion of two kernels, each only where the
// neighbourhoods of both agree: what CKNNA is made of.
//
// K, L: symmetric kernels; m_ij = 1 where j is among the neighbours of i in both graphs, else 0.
//   HSIC1(m*K, m*L) = [tr(m*K m*L) + sum(m*K) sum(m*L) / ((n-1)(n-2)) - 2 sum(m*K m*L) / (n-2)]
//                     / (n (n-3))
// Sources: Song, Smola, Gretton, Bedo and Borgwardt 2012, eq. 5; Huh, Cheung, Wang and Isola 2024.
// No matrix exists: the trace needs links that go both ways, the sums those that both graphs have.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "overlap/row_lists.h"

namespace ilo {

struct KernelGraph {
  RowLists neighbors;    // checked; points are rows
  const double* values;  // of the kernel, one for each entry
};

// Of all layers of one with all of the other: out is (1 + permutations, a layers, b layers), first
// as it is, then with the points of b renumbered by each permutation. At least four rows.
void masked_hsic(const KernelGraph& a, const KernelGraph& b, const Permutations& permutations,
                 double* out, Team& team);

}  // namespace ilo
