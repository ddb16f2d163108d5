// The emulator's streams and events: work is queued, and done when somebody waits for it.
#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "testing/cuda_emulator/state.h"

namespace ilo::emulated {

namespace {

// The null stream of a thread of the host.
struct OwnStream {
  std::shared_ptr<StreamState> state = std::make_shared<StreamState>();
  OwnStream() {
    Lock lock(device().mutex);
    device().streams.push_back(state);
  }
  ~OwnStream() {
    Lock lock(device().mutex);
    auto& all = device().streams;
    all.erase(std::remove(all.begin(), all.end(), state), all.end());
  }
};

// What a thread noted and cannot be done any more, after an error.
void forget(std::thread::id owner) {
  for (const auto& stream : device().streams)
    if (stream->owner == owner) {
      for (const Step& step : stream->steps)
        if (step.kind == Step::record)
          step.occasion->happened = std::max(step.occasion->happened, step.number);
      stream->steps.clear();
    }
}

void run_first(StreamState& stream) {
  Step step = std::move(stream.steps.front());
  stream.steps.pop_front();
  switch (step.kind) {
    case Step::wait:
      break;
    case Step::record:
      step.occasion->happened = std::max(step.occasion->happened, step.number);
      break;
    case Step::work:
      try {
        step.run();
        check_all_guards("work on a stream");
      } catch (...) {
        forget(std::this_thread::get_id());
        throw;
      }
  }
}

// The stream that an occasion is noted in, or null.
StreamState* where(const Occasion* occasion, std::int64_t number) {
  for (const auto& stream : device().streams)
    for (const Step& step : stream->steps)
      if (step.kind == Step::record && step.occasion.get() == occasion && step.number >= number)
        return stream.get();
  return nullptr;
}

// Does the first step of this stream, or one that it waits for, or, with a seed, any other.
void advance(StreamState* wanted) {
  while (!wanted->steps.front().can_run()) {
    const Step& step = wanted->steps.front();
    StreamState* before = where(step.occasion.get(), step.number);
    if (!before) throw std::logic_error("a stream waits for an event that nobody records");
    wanted = before;
  }
  Device& d = device();
  if (d.seed) {
    std::vector<StreamState*> choices{wanted};
    for (const auto& stream : d.streams)
      if (stream.get() != wanted && stream->owner == std::this_thread::get_id() &&
          !stream->steps.empty() && stream->steps.front().can_run())
        choices.push_back(stream.get());
    wanted = choices[d.random() % choices.size()];
  }
  run_first(*wanted);
}

void drop_destroyed() {
  auto& all = device().streams;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const auto& s) { return s->destroyed && s->steps.empty(); }),
            all.end());
}

}  // namespace

StreamState& stream_of(cudaStream_t stream) {
  thread_local OwnStream own;
  return stream ? *stream : *own.state;
}

void finish(StreamState& stream) {
  throw_pending();
  while (!stream.steps.empty()) advance(&stream);
}

void finish_everything() {
  throw_pending();
  const auto self = std::this_thread::get_id();
  for (bool again = true; again;) {
    again = false;
    for (std::size_t i = 0; i < device().streams.size(); ++i) {
      const auto stream = device().streams[i];
      if (stream->owner != self || stream->steps.empty()) continue;
      advance(stream.get());
      again = true;
    }
  }
  drop_destroyed();
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  Lock lock(device().mutex);
  stream_of(stream).steps.push_back(Step{Step::work, std::move(work), nullptr, 0});
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Lock lock(device().mutex);
  auto made = std::make_shared<StreamState>();
  device().streams.push_back(made);
  *stream = made.get();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Lock lock(device().mutex);
  stream->destroyed = true;
  drop_destroyed();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Lock lock(device().mutex);
  finish(stream_of(stream));
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EventState;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(device().mutex);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Lock lock(device().mutex);
  const auto& occasion = event->occasion;
  stream_of(stream).steps.push_back(Step{Step::record, {}, occasion, ++occasion->recorded});
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(device().mutex);
  const auto& occasion = event->occasion;
  if (occasion->recorded > occasion->happened)
    stream_of(stream).steps.push_back(Step{Step::wait, {}, occasion, occasion->recorded});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Lock lock(device().mutex);
  throw_pending();
  const std::shared_ptr<Occasion> occasion = event->occasion;
  const std::int64_t number = occasion->recorded;
  while (occasion->happened < number) advance(where(occasion.get(), number));
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Lock lock(device().mutex);
  throw_pending();
  const Occasion& occasion = *event->occasion;
  if (occasion.happened >= occasion.recorded) return cudaSuccess;
  advance(where(&occasion, occasion.recorded));
  return cudaErrorNotReady;
}

}  // namespace ilo::emulated
