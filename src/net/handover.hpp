#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace heddle::net {

/// A listening socket by name.
struct ListenerFd {
  std::string name;
  int fd = -1;
};

/// The sockets that a predecessor or systemd's socket activation handed to this process
/// (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES); a socket without a name is called
/// `unknown`. They are marked close-on-exec and the variables removed, so that a second call gives
/// nothing. Before other threads run.
[[nodiscard]] std::vector<ListenerFd> inherited_listeners();

/// Starts `argv[0]` (a path) with these sockets as `inherited_listeners` reads them; the process
/// id. Standard streams are inherited, other descriptors as far as they are not close-on-exec. kIo
/// when there is no process; a program that cannot be run ends with 127.
[[nodiscard]] Result<int> start_successor(const std::vector<std::string>& argv,
                                          const std::vector<ListenerFd>& listeners);

/// The same in place of this process, which keeps its id: a supervisor sees nothing. Returns only
/// when the program cannot be run.
[[nodiscard]] Error become_successor(const std::vector<std::string>& argv,
                                     const std::vector<ListenerFd>& listeners);

}  // namespace heddle::net
