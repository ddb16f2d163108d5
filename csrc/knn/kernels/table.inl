// The table of a translation unit's kernels. It is a constant: whoever asks a level for its name,
// on a processor that lacks the level, must not run code compiled for it.
//
// Needs before inclusion: all that is named here.

namespace {

constexpr Kernels table_of(const char* name, const Kernels* (*fallback)()) {
  Kernels table{};
  table.name = name;
  table.panel = kPanel;
  table.panel_bytes = panel_bytes;
  table.round_row = round_row;
  table.pack_panel = pack_panel;
  table.pack_rows = pack_rows;
  table.product = product;
  table.roundings = roundings;
  table.underflow = kUnderflow;
  table.fallback = fallback;
  table.scan_row = scan_row;
  table.scan_both = scan_both;
  table.load_row = load_row;
  table.squared_distance = squared_distance;
  table.squared_distance_to = squared_distance_to;
  table.sum_of_squares = sum_of_squares;
  table.all_finite = all_finite;
  table.hash_row = hash_row;
  table.accumulate = accumulate;
  table.peak = peak;
  return table;
}

}  // namespace
