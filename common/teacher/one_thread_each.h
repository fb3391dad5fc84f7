// OpenMP's thread count is per thread. Parallel workers compute on one thread each, so that results do not depend on
// the number of workers and the machine is not oversubscribed.
#ifndef VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_
#define VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_

#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace vitrine {

/// During its lifetime, every thread that enters the arena computes on one thread.
class OneThreadEach : public tbb::task_scheduler_observer {
 public:
  explicit OneThreadEach(tbb::task_arena& arena) : tbb::task_scheduler_observer(arena) { observe(true); }
  ~OneThreadEach() override { observe(false); }
  void on_scheduler_entry(bool) override { at::set_num_threads(1); }
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_
