// The best few columns of every row, as the filter scores them.
//
// Hits above a row's threshold are appended. A full list is cut: first to what could still be among
// the k nearest, judging by the k-th best score so far; where that leaves it more than half full,
// it grows, up to a limit; at the limit its worst eighth has to go. The worst that stays becomes
// the threshold: everything ever discarded scored at most the final threshold. So easy rows keep
// little more than k, and rows in a near-duplicate cluster keep the cluster.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "knn/buffer.h"
#include "knn/certificate.h"
#include "knn/kernels/kernels.h"
#include "knn/prefetch.h"

namespace ilo {

class Candidates {
 public:
  // bounds[rows]; padded_rows: rows rounded up to whole blocks, where padding lets nothing pass.
  Candidates(std::int64_t rows, std::int64_t padded_rows, std::int64_t k, std::int64_t limit,
             const Certificate& certificate, const RowBound* bounds)
      : k_(static_cast<std::size_t>(k)),
        first_capacity_(static_cast<std::size_t>(first_capacity(k))),
        limit_(std::max(static_cast<std::size_t>(limit), first_capacity_)),
        certificate_(certificate),
        bounds_(bounds),
        lists_(rows),
        grown_(rows),
        hits_(rows * first_capacity(k)),
        threshold_(padded_rows, std::numeric_limits<float>::infinity()) {
    std::fill_n(threshold_.begin(), rows, -std::numeric_limits<float>::infinity());
    for (std::int64_t row = 0; row < rows; ++row)
      lists_[row] = {hits_.data() + row * first_capacity(k), 0,
                     static_cast<std::uint32_t>(first_capacity_)};
  }

  // Room that every row's list has from the start.
  static std::int64_t first_capacity(std::int64_t k) { return 2 * (k + 8 + k / 8); }
  // Of memory, at most; a list that outgrew its first room leaves that unused.
  static std::int64_t bytes_per_row(std::int64_t k, std::int64_t limit) {
    const std::int64_t first = first_capacity(k), grown = limit > first ? limit : 0;
    return (first + grown) * static_cast<std::int64_t>(sizeof(Hit)) + 32;
  }

  // The hits of one row. Lists lie one after the other until they outgrow their first room.
  class List {
   public:
    List() = default;
    List(Hit* data, std::uint32_t size, std::uint32_t capacity)
        : data_(data), size_(size), capacity_(capacity) {}
    Hit* begin() { return data_; }
    Hit* end() { return data_ + size_; }
    const Hit* begin() const { return data_; }
    const Hit* end() const { return data_ + size_; }
    const Hit* data() const { return data_; }
    const Hit& operator[](std::size_t place) const { return data_[place]; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    void push(Hit hit) { data_[size_++] = hit; }
    void cut(std::size_t size) { size_ = static_cast<std::uint32_t>(size); }

   private:
    Hit* data_ = nullptr;
    std::uint32_t size_ = 0, capacity_ = 0;
  };

  const float* thresholds() const { return threshold_.data(); }
  float threshold(std::int64_t row) const { return threshold_[row]; }

  // Before a row's first n columns are scanned: what they say of the k-th best, roughly. Of the
  // best of each lane, k others than the row itself are at least the (k + 1)-th.
  void expect(std::int64_t row, const float* products, const float* half, std::int64_t n) {
    constexpr std::int64_t kLanes = 16;
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    if (threshold_[row] != kNone || k_ >= kLanes / 2) return;
    float best[kLanes];
    std::fill_n(best, kLanes, kNone);
    for (std::int64_t j = 0; j < n; j += kLanes)
      if (j + kLanes <= n)
        for (std::int64_t l = 0; l < kLanes; ++l)
          best[l] = std::max(best[l], products[j + l] - half[j + l]);
    std::nth_element(best, best + k_, best + kLanes, std::greater<float>());
    if (best[k_] > kNone) threshold_[row] = estimated_below(row, best[k_]);
  }

  // Before many hits are added: what they say of the k-th best. The k-th best of the bests of parts
  // is nearly as good, and cheaper to find. Reorders them.
  void expect(std::int64_t row, Hit* hits, std::int64_t count) {
    const auto parts = static_cast<std::int64_t>(first_capacity_);
    if (count < parts) return;
    for (std::int64_t h = parts, part = 0; h < count; ++h) {
      if (hits[h].score > hits[part].score) std::swap(hits[h], hits[part]);
      if (++part == parts) part = 0;
    }
    std::nth_element(hits, hits + (k_ - 1), hits + parts, Better{});
    threshold_[row] = std::max(threshold_[row], estimated_below(row, hits[k_ - 1].score));
  }

  // Asks for the end of a row's list, where a hit will be added soon.
  void prefetch(std::int64_t row) const {
    ilo::prefetch(reinterpret_cast<const std::byte*>(lists_[row].end()), 1);
  }

  void add(std::int64_t row, Hit hit) {
    List& list = lists_[row];
    if (list.size() == list.capacity()) make_room(row);
    if (hit.score > threshold_[row]) list.push(hit);
  }

  // Best first. Not cut down: the lower the threshold, the more the certificate can show.
  const List& sorted(std::int64_t row) {
    std::sort(lists_[row].begin(), lists_[row].end(), Better{});
    return lists_[row];
  }

  // Of a sorted list: what is hardly among the k nearest does not score above it.
  float estimated_threshold(std::int64_t row) const {
    const List& list = lists_[row];
    if (list.size() < k_) return -std::numeric_limits<float>::infinity();
    return certificate_.estimated_threshold(bounds_[row], list[k_ - 1].score);
  }

  // Whether a list, sorted, lost columns that might be among the k nearest: it will hardly
  // certify the row.
  bool lost_some(std::int64_t row) const {
    return lists_[row].size() >= k_ && threshold_[row] > estimated_threshold(row);
  }

  // For checkpoints.
  std::size_t limit() const { return limit_; }  // hits a row may have
  std::int64_t rows() const { return static_cast<std::int64_t>(lists_.size()); }
  const List& list(std::int64_t row) const { return lists_[row]; }
  void restore(std::int64_t row, float threshold, const Hit* hits, std::size_t count) {
    lists_[row].cut(0);
    if (count > lists_[row].capacity()) grow(row, count);
    std::copy_n(hits, count, lists_[row].begin());
    lists_[row].cut(count);
    threshold_[row] = threshold;
  }

 private:
  struct Better {
    bool operator()(const Hit& a, const Hit& b) const {
      return a.score != b.score ? a.score > b.score : a.column < b.column;
    }
  };

  // Below the k-th best itself, even if all are equal.
  float estimated_below(std::int64_t row, float kth) const {
    return std::min(certificate_.estimated_threshold(bounds_[row], kth),
                    std::nextafterf(kth, -INFINITY));
  }

  void make_room(std::int64_t row) {
    List& list = lists_[row];
    std::nth_element(list.begin(), list.begin() + (k_ - 1), list.end(), Better{});
    const float kth = list[k_ - 1].score;
    const float estimated = estimated_below(row, kth);
    if (estimated > threshold_[row]) {
      list.cut(std::remove_if(list.begin() + k_, list.end(),
                              [estimated](const Hit& h) { return !(h.score > estimated); }) -
               list.begin());
      threshold_[row] = estimated;
    }
    if (list.size() <= list.capacity() / 2) return;
    if (list.capacity() < limit_) return grow(row, std::min(limit_, 2 * list.capacity()));
    if (list.size() <= limit_ - limit_ / 8) return;
    const std::size_t stay = std::max(k_, limit_ - limit_ / 8);
    std::nth_element(list.begin(), list.begin() + (stay - 1), list.end(), Better{});
    list.cut(stay);
    threshold_[row] = std::max(threshold_[row], list[stay - 1].score);
  }

  void grow(std::int64_t row, std::size_t capacity) {
    std::unique_ptr<Hit[]> grown(new Hit[capacity]);
    List& list = lists_[row];
    std::copy(list.begin(), list.end(), grown.get());
    list = {grown.get(), static_cast<std::uint32_t>(list.size()),
            static_cast<std::uint32_t>(capacity)};
    grown_[row] = std::move(grown);
  }

  std::size_t k_, first_capacity_, limit_;
  const Certificate& certificate_;
  const RowBound* bounds_;
  std::vector<List> lists_;
  std::vector<std::unique_ptr<Hit[]>> grown_;
  Buffer<Hit> hits_;
  std::vector<float> threshold_;
};

}  // namespace ilo
