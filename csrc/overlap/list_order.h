// Measures of two lists of different entries that depend on the order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ilo {

// The longest increasing subsequence of different numbers, by patience sorting. Of the places that
// the common entries of two lists have in one of them, in the order of the other, it is the longest
// common subsequence, since no entry is in a list twice (Hunt and Szymanski 1977).
inline std::int32_t longest_increasing(const std::vector<std::int32_t>& numbers,
                                       std::vector<std::int32_t>& piles) {
  piles.clear();
  for (const std::int32_t number : numbers) {
    const auto pile = std::lower_bound(piles.begin(), piles.end(), number);
    if (pile == piles.end())
      piles.push_back(number);
    else
      *pile = number;
  }
  return static_cast<std::int32_t>(piles.size());
}

// Levenshtein's distance of a list of `length` entries to another one: of each entry of the other
// its place in the first, or -1. A column of the table of distances is kept as its differences, a
// bit each: Myers 1999, for whole strings Hyyrö 2003. A word takes 64 entries of the first list.
class EditDistance {
 public:
  std::int32_t operator()(std::int64_t length, const std::vector<std::int32_t>& places) {
    if (length == 0) return static_cast<std::int32_t>(places.size());
    const std::int64_t n_words = (length + 63) / 64;
    more_.assign(n_words, ~Word{0});  // where going down the column adds one: everywhere at first
    less_.assign(n_words, 0);
    const Word last = Word{1} << ((length - 1) % 64);
    auto distance = static_cast<std::int32_t>(length);
    for (const std::int32_t place : places) {
      Word carry_more = 1, carry_less = 0;  // the first row of the table grows by one per entry
      for (std::int64_t w = 0; w < n_words; ++w) {
        const Word equal = place >= 0 && place / 64 == w ? Word{1} << (place % 64) : 0;
        const Word more = more_[w], less = less_[w], x = equal | carry_less;
        const Word diagonal = (((x & more) + more) ^ more) | x | less;
        Word across_more = less | ~(diagonal | more), across_less = diagonal & more;
        if (w == n_words - 1) distance += ((across_more & last) != 0) - ((across_less & last) != 0);
        const Word next_more = across_more >> 63, next_less = across_less >> 63;
        across_more = across_more << 1 | carry_more;
        across_less = across_less << 1 | carry_less;
        carry_more = next_more, carry_less = next_less;
        more_[w] = across_less | ~(diagonal | across_more);
        less_[w] = across_more & diagonal;
      }
    }
    return distance;
  }

 private:
  using Word = std::uint64_t;
  std::vector<Word> more_, less_;
};

}  // namespace ilo
