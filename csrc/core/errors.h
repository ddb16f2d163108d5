// Errors of the core. The bindings turn InvalidArgument into ValueError; what() is shown to the
// user as it is, so it names the argument, what came, what was wanted and the fix.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace ilo {

struct InvalidArgument : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A row that cannot be used. `problem` completes "row 7 of X ...": a caller that knows the row by
// another name (a language and a sentence) puts that in its place.
struct BadRow : InvalidArgument {
  BadRow(std::int64_t bad_row, const std::string& what_is_wrong, std::int64_t in_layer = -1,
         const std::string& of = "X")
      : InvalidArgument("row " + std::to_string(bad_row) + " of " +
                        (in_layer < 0 ? "" : "layer " + std::to_string(in_layer) + " of ") + of +
                        " " + what_is_wrong),
        row(bad_row),
        layer(in_layer),
        problem(what_is_wrong) {}
  std::int64_t row, layer;  // layer: -1 if there is only one
  std::string problem;
};

// Something that cannot be where rows stay as they are: thrown where it is met, and told the user
// by whoever can find out which row changed.
struct RowsChanged {};
constexpr const char* kRowChanged =
    "changed during the call: another thread or process writes to it; pass a copy of the rows";

// Concatenates anything printable, so that messages can carry values.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace ilo
