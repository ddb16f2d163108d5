// The extension module ilo_fast._core.
#include "bindings/bindings.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of ilo_fast. Use ilo_fast.knn_graph and ilo_fast.overlap.";
  ilo::register_exceptions();
  ilo::register_simd(m);
  ilo::register_knn(m);
  ilo::register_partitioned(m);
  ilo::register_tile(m);
  ilo::register_merge(m);
  ilo::register_overlap(m);
  ilo::register_deletions(m);
  ilo::register_communities(m);
  ilo::register_set_overlap(m);
  ilo::register_layout(m);
  ilo::register_ranks(m);
  ilo::register_sparse(m);
  ilo::register_features(m);
  ilo::register_sharing(m);
  ilo::register_cuda(m);
}
