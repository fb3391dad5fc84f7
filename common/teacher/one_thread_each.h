// OpenMP's thread count is a property of each thread. Workers that run side by side compute on one thread each: results
// must not depend on how many there are, and the machine is not to be oversubscribed.
#ifndef VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_
#define VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_

#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>
#include <torch/torch.h>

namespace vitrine {

/// While it lives, every thread that enters the arena computes on one thread.
class OneThreadEach : public tbb::task_scheduler_observer {
 public:
  explicit OneThreadEach(tbb::task_arena& arena) : tbb::task_scheduler_observer(arena) { observe(true); }
  ~OneThreadEach() override { observe(false); }
  void on_scheduler_entry(bool) override { at::set_num_threads(1); }
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_ONE_THREAD_EACH_H_
