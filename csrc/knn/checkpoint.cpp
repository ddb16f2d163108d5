// Writes and reads the checkpoint file, with checksums.
#include "knn/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "core/files.h"

namespace ilo {

namespace {

constexpr char kMagic[8] = {'i', 'l', 'o', 'k', 'n', 'n', '0', '2'};
constexpr std::size_t kNameBytes = 6;  // of the magic; what follows is the version of the format
enum Kind : std::uint64_t { steps_kind = 1, graph_kind = 2 };

double now() {
  using Clock = std::chrono::steady_clock;
  static const Clock::time_point start = Clock::now();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Close {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Close>;

// Of a stream of bytes, in whatever pieces it is added.
class Checksum {
 public:
  void add(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    length_ += bytes;
    for (; held_ > 0 && bytes > 0; --bytes) hold(*at++);
    for (; bytes >= sizeof(Word); at += sizeof(Word), bytes -= sizeof(Word))
      value_ = mix(value_, word(at));
    for (; bytes > 0; --bytes) hold(*at++);
  }
  std::uint64_t value() const { return mix(mix(value_, word(rest_)), length_); }

 private:
  using Word = std::uint64_t;

  static Word word(const unsigned char* at) {
    Word out;
    std::memcpy(&out, at, sizeof out);
    return out;
  }
  void hold(unsigned char byte) {
    rest_[held_++] = byte;
    if (held_ < sizeof(Word)) return;
    value_ = mix(value_, word(rest_));
    std::memset(rest_, 0, sizeof rest_);
    held_ = 0;
  }

  std::uint64_t value_ = 0x9e3779b97f4a7c15u, length_ = 0;
  unsigned char rest_[sizeof(Word)] = {};  // of a word that is not complete, then zeros
  std::size_t held_ = 0;                   // bytes of it
};

struct WriteError {
  int code;
};
struct Damaged {};

// Beside the file, then in its place; gone if it is left before that.
class Writer {
 public:
  Writer(const std::string& path, Kind kind, std::uint64_t data, std::uint64_t plan)
      : path_(path), partial_(path + ".partial") {
    file_.reset(open_file(partial_, "wb"));
    if (!file_) throw WriteError{errno};
    put(kMagic, sizeof kMagic);
    put(static_cast<std::uint64_t>(kind));
    put(data);
    put(plan);
    put(sum_.value());  // of the head alone
  }
  ~Writer() {
    if (!file_) return;
    file_.reset();
    remove_file(partial_);
  }
  void put(const void* data, std::size_t bytes) {
    sum_.add(data, bytes);
    if (bytes && std::fwrite(data, 1, bytes, file_.get()) != bytes) throw WriteError{errno};
  }
  // In pieces, with a look between them at whether it is still wanted.
  void put(const void* data, std::size_t bytes, std::size_t piece, Team& team) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (; bytes > piece; at += piece, bytes -= piece) {
      put(at, piece);
      team.poll();
    }
    put(at, bytes);
  }
  template <class T>
  void put(T value) {
    put(&value, sizeof value);
  }
  void finish() {
    const std::uint64_t sum = sum_.value();
    if (std::fwrite(&sum, sizeof sum, 1, file_.get()) != 1) throw WriteError{errno};
    if (const int code = flush_to_disk(file_.get())) throw WriteError{code};
    std::FILE* raw = file_.release();
    int code = std::fclose(raw) != 0 ? errno : 0;
    if (code == 0) code = replace_file(partial_, path_);
    if (code != 0) {
      remove_file(partial_);
      throw WriteError{code};
    }
  }

 private:
  std::string path_, partial_;
  File file_;
  Checksum sum_;
};

class Reader {
 public:
  // Throws Damaged if it is shorter than it says, or altered.
  explicit Reader(std::FILE* file) : file_(file) {}
  void get(void* data, std::size_t bytes) {
    if (bytes && std::fread(data, 1, bytes, file_) != bytes) throw Damaged{};
    sum_.add(data, bytes);
  }
  // As many of the bytes as there are.
  std::size_t get_some(void* data, std::size_t bytes) {
    const std::size_t length = std::fread(data, 1, bytes, file_);
    sum_.add(data, length);
    return length;
  }
  template <class T>
  T get() {
    T value;
    get(&value, sizeof value);
    return value;
  }
  std::uint64_t sum() const { return sum_.value(); }
  void finish() {
    std::uint64_t sum;
    if (std::fread(&sum, 1, sizeof sum, file_) != sizeof sum || sum != sum_.value())
      throw Damaged{};
  }

 private:
  std::FILE* file_;
  Checksum sum_;
};

// An open file, read up to its payload.
struct Input {
  File file;
  std::unique_ptr<Reader> reader;  // null: there is no such file
};

Input open_checkpoint(const std::string& path, std::uint64_t data, Kind kind, std::uint64_t plan) {
  Input in;
  in.file.reset(open_file(path, "rb"));
  if (!in.file) {
    if (errno == ENOENT) return {};
    throw InvalidArgument(text("the checkpoint ", path, " cannot be read: ", std::strerror(errno)));
  }
  in.reader = std::make_unique<Reader>(in.file.get());
  char magic[8];
  const std::size_t length = in.reader->get_some(magic, sizeof magic);
  if (length == 0 || std::memcmp(magic, kMagic, std::min(length, kNameBytes)) != 0)
    throw InvalidArgument(text(path,
                               " is no checkpoint of knn_graph: it is left as it is; give "
                               "another folder as checkpoint"));
  if (length < sizeof magic) throw Damaged{};
  if (std::memcmp(magic, kMagic, sizeof magic) != 0)
    throw InvalidArgument(text("the checkpoint ", path,
                               " is of another version of ilo_fast, which alone can go on with it: "
                               "give another folder, or delete it"));
  const auto file_kind = in.reader->get<std::uint64_t>();
  const auto file_data = in.reader->get<std::uint64_t>();
  const auto file_plan = in.reader->get<std::uint64_t>();
  const std::uint64_t sum = in.reader->sum();
  if (in.reader->get<std::uint64_t>() != sum) throw Damaged{};
  if (file_data != data)
    throw InvalidArgument(text("the checkpoint ", path,
                               " belongs to other rows or other options (n_neighbors, metric, "
                               "queries): give another folder, or delete it"));
  if (file_kind != kind) return {};
  if (kind == steps_kind && file_plan != plan)
    throw InvalidArgument(text("the checkpoint ", path,
                               " holds work of another instruction set, max_memory or version of "
                               "ilo_fast, which only they can finish: set them as they were, or "
                               "delete it"));
  return in;
}

}  // namespace

bool Checkpoint::load_graph(std::int64_t* indices, float* distances, std::int64_t count,
                            const std::function<bool()>& is_possible, GraphInfo& info) {
  try {
    const Input in = open_checkpoint(path_, data_, graph_kind, plan_);
    if (!in.reader) return false;
    info.certified_rows = in.reader->get<std::int64_t>();
    info.fallback_rows = in.reader->get<std::int64_t>();
    info.candidates_per_row = in.reader->get<double>();
    if (in.reader->get<std::int64_t>() != count) throw Damaged{};
    in.reader->get(indices, count * sizeof *indices);
    in.reader->get(distances, count * sizeof *distances);
    in.reader->finish();
    if (!is_possible()) throw Damaged{};
    return true;
  } catch (const Damaged&) {
    damaged_ = text("the checkpoint ", path_, " is damaged: the work starts anew");
    info.certified_rows = info.fallback_rows = 0;
    info.candidates_per_row = 0;
    return false;
  }
}

namespace {

// Whether a row may have kept these hits: each column once, none of them the row itself.
class PossibleHits {
 public:
  explicit PossibleHits(std::int64_t n_columns) : seen_by_(n_columns, -1) {}
  bool operator()(std::int64_t row, std::int64_t own, const std::vector<Hit>& hits) {
    for (const Hit& hit : hits) {
      if (hit.column < 0 || hit.column >= static_cast<std::int64_t>(seen_by_.size())) return false;
      if (hit.column == own || seen_by_[hit.column] == row || !std::isfinite(hit.score))
        return false;
      seen_by_[hit.column] = row;
    }
    return true;
  }

 private:
  std::vector<std::int64_t> seen_by_;  // the last row that had the column
};

}  // namespace

std::int64_t Checkpoint::load_steps(Candidates& candidates, std::int64_t total,
                                    std::int64_t n_columns,
                                    const std::function<std::int64_t(std::int64_t)>& own_column,
                                    Team& team) {
  last_save_ = now();
  if (!damaged_.empty()) return 0;
  try {
    // First the whole file for its checksum, then again for what it holds: nothing of a damaged one
    // is used.
    std::int64_t steps = 0;
    for (const bool use : {false, true}) {
      const Input in = open_checkpoint(path_, data_, steps_kind, plan_);
      if (!in.reader) return 0;
      steps = in.reader->get<std::int64_t>();
      if (steps < 0 || steps > total) throw Damaged{};
      if (in.reader->get<std::int64_t>() != candidates.rows()) throw Damaged{};
      std::vector<Hit> hits;
      PossibleHits is_possible(n_columns);
      for (std::int64_t row = 0; row < candidates.rows(); ++row) {
        const auto threshold = in.reader->get<float>();
        const auto count = in.reader->get<std::uint32_t>();
        if (count > candidates.limit()) throw Damaged{};
        hits.resize(count);
        in.reader->get(hits.data(), count * sizeof(Hit));
        if (!(threshold < INFINITY) || !is_possible(row, own_column(row), hits)) throw Damaged{};
        if (use) candidates.restore(row, threshold, hits.data(), count);
        if (row % 1024 == 0) team.poll();
      }
      in.reader->finish();
    }
    return steps;
  } catch (const Damaged&) {
    for (std::int64_t row = 0; row < candidates.rows(); ++row)
      candidates.restore(row, -INFINITY, nullptr, 0);
    damaged_ = text("the checkpoint ", path_, " is damaged: the work starts anew");
    return 0;
  }
}

void Checkpoint::save_steps(std::int64_t steps, const Candidates& candidates, Team& team) {
  const double start = now();
  try {
    Writer out(path_, steps_kind, data_, plan_);
    out.put(steps);
    out.put(candidates.rows());
    for (std::int64_t row = 0; row < candidates.rows(); ++row) {
      const Candidates::List& list = candidates.list(row);
      out.put(candidates.threshold(row));
      out.put(static_cast<std::uint32_t>(list.size()));
      out.put(list.data(), list.size() * sizeof(Hit));
      if (row % 1024 == 0) team.poll();
    }
    out.finish();
    unwritten_.clear();
  } catch (const WriteError& error) {
    unwritten_ =
        text("the checkpoint ", path_, " could not be written (", std::strerror(error.code),
             "): the graph is right, but an interruption would have lost the work");
  }
  last_save_ = now();
  cost_of_save_ = last_save_ - start;
}

bool Checkpoint::is_due() const {
  // At most a twentieth of the time goes into it.
  return now() - last_save_ >= std::max(every_seconds_, 20 * cost_of_save_);
}

void Checkpoint::save_graph(const std::int64_t* indices, const float* distances, std::int64_t count,
                            const GraphInfo& info, Team& team) {
  try {
    Writer out(path_, graph_kind, data_, plan_);
    out.put(info.certified_rows);
    out.put(info.fallback_rows);
    out.put(info.candidates_per_row);
    out.put(count);
    out.put(indices, count * sizeof *indices, piece_, team);
    out.put(distances, count * sizeof *distances, piece_, team);
    out.finish();
    unwritten_.clear();
  } catch (const WriteError& error) {
    unwritten_ = text("the checkpoint ", path_, " could not be written (",
                      std::strerror(error.code), "): the graph is right, but was not kept there");
  }
}

}  // namespace ilo
