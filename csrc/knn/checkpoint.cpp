#include "knn/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/errors.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace ilo {

namespace {

constexpr char kMagic[8] = {'i', 'l', 'o', 'k', 'n', 'n', '0', '1'};
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

class Checksum {
 public:
  void add(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (; bytes >= 8; at += 8, bytes -= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      mix(word);
    }
    std::uint64_t last = bytes;
    for (std::size_t b = 0; b < bytes; ++b) last = last << 8 | at[b];
    mix(last);
  }
  std::uint64_t value() const { return value_; }

 private:
  void mix(std::uint64_t word) {
    value_ = (value_ ^ word) * 0xff51afd7ed558ccdu;
    value_ ^= value_ >> 32;
  }
  std::uint64_t value_ = 0x9e3779b97f4a7c15u;
};

struct WriteError {
  int code;
};
struct Damaged {};

// Beside the file, then in its place; gone if it is left before that.
class Writer {
 public:
  explicit Writer(const std::string& path) : path_(path), partial_(path + ".partial") {
    file_.reset(std::fopen(partial_.c_str(), "wb"));
    if (!file_) throw WriteError{errno};
    put(kMagic, sizeof kMagic);
  }
  ~Writer() {
    if (!file_) return;
    file_.reset();
    std::remove(partial_.c_str());
  }
  void put(const void* data, std::size_t bytes) {
    sum_.add(data, bytes);
    if (bytes && std::fwrite(data, 1, bytes, file_.get()) != bytes) throw WriteError{errno};
  }
  template <class T>
  void put(T value) {
    put(&value, sizeof value);
  }
  void finish() {
    const std::uint64_t sum = sum_.value();
    if (std::fwrite(&sum, sizeof sum, 1, file_.get()) != 1 || std::fflush(file_.get()) != 0)
      throw WriteError{errno};
#if defined(__unix__) || defined(__APPLE__)
    if (fsync(fileno(file_.get())) != 0) throw WriteError{errno};
#endif
    std::FILE* raw = file_.release();
    if (std::fclose(raw) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) {
      const int code = errno;
      std::remove(partial_.c_str());
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
  template <class T>
  T get() {
    T value;
    get(&value, sizeof value);
    return value;
  }
  void finish() {
    std::uint64_t sum;
    if (std::fread(&sum, 1, sizeof sum, file_) != sizeof sum || sum != sum_.value())
      throw Damaged{};
  }

 private:
  std::FILE* file_;
  Checksum sum_;
};

// The file, read up to its payload, if it is there and of this kind and plan.
File open(const std::string& path, Reader*& reader, std::unique_ptr<Reader>& storage,
          std::uint64_t data, Kind kind, std::uint64_t plan) {
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    if (errno == ENOENT) return nullptr;
    throw InvalidArgument(text("the checkpoint ", path, " cannot be read: ", std::strerror(errno)));
  }
  storage = std::make_unique<Reader>(file.get());
  reader = storage.get();
  char magic[8] = {};
  bool ours = true;
  try {
    reader->get(magic, sizeof magic);
  } catch (const Damaged&) {
    ours = false;
  }
  if (!ours || std::memcmp(magic, kMagic, sizeof magic) != 0)
    throw InvalidArgument(text(path,
                               " is no checkpoint of knn_graph: it is left as it is; give "
                               "another folder as checkpoint"));
  const auto file_kind = reader->get<std::uint64_t>();
  const auto file_data = reader->get<std::uint64_t>();
  const auto file_plan = reader->get<std::uint64_t>();
  if (file_data != data)
    throw InvalidArgument(text("the checkpoint ", path,
                               " belongs to other rows or other options (n_neighbors, metric, "
                               "queries): give another folder, or delete it"));
  if (file_kind != kind || (kind == steps_kind && file_plan != plan)) return nullptr;
  return file;
}

}  // namespace

bool Checkpoint::load_graph(std::int64_t* indices, float* distances, std::int64_t count) {
  try {
    Reader* in = nullptr;
    std::unique_ptr<Reader> storage;
    const File file = open(path_, in, storage, data_, graph_kind, plan_);
    if (!file) return false;
    if (in->get<std::int64_t>() != count) throw Damaged{};
    in->get(indices, count * sizeof *indices);
    in->get(distances, count * sizeof *distances);
    in->finish();
    return true;
  } catch (const Damaged&) {
    damaged_ = text("the checkpoint ", path_, " is damaged: the work starts anew");
    return false;
  }
}

std::int64_t Checkpoint::load_steps(Candidates& candidates) {
  last_save_ = now();
  if (!damaged_.empty()) return 0;
  try {
    Reader* in = nullptr;
    std::unique_ptr<Reader> storage;
    File file = open(path_, in, storage, data_, steps_kind, plan_);
    if (!file) return 0;
    // First the whole file for its checksum, then again for what it holds: nothing of a damaged one
    // is used.
    std::int64_t steps = 0;
    for (const bool use : {false, true}) {
      if (use) file = open(path_, in, storage, data_, steps_kind, plan_);
      steps = in->get<std::int64_t>();
      if (in->get<std::int64_t>() != candidates.rows()) throw Damaged{};
      std::vector<Hit> hits;
      for (std::int64_t row = 0; row < candidates.rows(); ++row) {
        const auto threshold = in->get<float>();
        const auto count = in->get<std::uint32_t>();
        if (count > candidates.limit()) throw Damaged{};
        hits.resize(count);
        in->get(hits.data(), count * sizeof(Hit));
        if (use) candidates.restore(row, threshold, hits.data(), count);
      }
      in->finish();
    }
    return steps;
  } catch (const Damaged&) {
    damaged_ = text("the checkpoint ", path_, " is damaged: the work starts anew");
    return 0;
  }
}

void Checkpoint::save_steps(std::int64_t steps, const Candidates& candidates, Team& team) {
  const double start = now();
  try {
    Writer out(path_);
    out.put(static_cast<std::uint64_t>(steps_kind));
    out.put(data_);
    out.put(plan_);
    out.put(steps);
    out.put(candidates.rows());
    for (std::int64_t row = 0; row < candidates.rows(); ++row) {
      const std::vector<Hit>& list = candidates.list(row);
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

void Checkpoint::save_steps_if_due(std::int64_t steps, const Candidates& candidates, Team& team) {
  // At most a twentieth of the time goes into it.
  if (now() - last_save_ >= std::max(every_seconds_, 20 * cost_of_save_))
    save_steps(steps, candidates, team);
}

void Checkpoint::save_graph(const std::int64_t* indices, const float* distances, std::int64_t count,
                            Team& team) {
  try {
    Writer out(path_);
    out.put(static_cast<std::uint64_t>(graph_kind));
    out.put(data_);
    out.put(plan_);
    out.put(count);
    team.poll();
    out.put(indices, count * sizeof *indices);
    team.poll();
    out.put(distances, count * sizeof *distances);
    out.finish();
    unwritten_.clear();
  } catch (const WriteError& error) {
    unwritten_ = text("the checkpoint ", path_, " could not be written (",
                      std::strerror(error.code), "): the graph is right, but was not kept there");
  }
}

}  // namespace ilo
