#include "os/end_with_parent.h"

#include <sys/prctl.h>
#include <unistd.h>

namespace lmsb::os {

bool end_with_parent(pid_t parent, int signal) {
  return ::prctl(PR_SET_PDEATHSIG, signal) == 0 && ::getppid() == parent;
}

}  // namespace lmsb::os
