// The seccomp layer: an allow-list of the calls that programs of this field make (CPython, numpy,
// PyTorch, ONNX Runtime, JVMs, servers), for x86_64 and aarch64. What is not on it does not exist
// (ENOSYS), as on an older kernel, so that libraries take their other way.
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

#include "runtime/sandbox.hpp"

namespace heddle::runtime {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter of calls has no list for this architecture"
#endif

// Not on the list, with why: ptrace, process_vm_*, pidfd_getfd, kcmp (other processes); mount,
// fsopen and their kind, chroot, pivot_root, unshare, setns (the root and the namespaces); bpf,
// perf_event_open, userfaultfd, io_uring_*, keyctl (large surfaces of the kernel that have been
// ways out of it); memfd_create, shmget, msgget, semget, mq_open (memory that nobody's process
// holds, so that nobody's limit counts it); module, kexec, swap, clock and accounting calls (of the
// machine); open_by_handle_at, fanotify_init (files past the root); modify_ldt, iopl, ioperm, vm86.
constexpr int kAllowed[] = {
#if defined(__x86_64__)
    // what newer architectures have only in the forms above
    SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_mkdir,
    SYS_rmdir, SYS_unlink, SYS_symlink, SYS_link, SYS_rename, SYS_mknod, SYS_chmod, SYS_chown,
    SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat, SYS_dup2, SYS_pipe, SYS_poll, SYS_select,
    SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_inotify_init, SYS_fork,
    SYS_vfork, SYS_getpgrp, SYS_pause, SYS_alarm, SYS_time, SYS_arch_prctl,
#endif
    // files
    SYS_read, SYS_write, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev,
    SYS_preadv2, SYS_pwritev2, SYS_openat, SYS_close, SYS_close_range, SYS_lseek, SYS_fstat,
    SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_getdents64, SYS_getcwd,
    SYS_chdir, SYS_fchdir, SYS_mkdirat, SYS_mknodat, SYS_unlinkat, SYS_symlinkat, SYS_linkat,
    SYS_renameat, SYS_renameat2, SYS_readlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat,
    SYS_utimensat, SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fadvise64, SYS_readahead,
    SYS_fsync, SYS_fdatasync, SYS_sync_file_range, SYS_syncfs, SYS_flock, SYS_fcntl, SYS_dup,
    SYS_dup3, SYS_pipe2, SYS_splice, SYS_tee, SYS_sendfile, SYS_copy_file_range, SYS_umask,
    SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
    SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, 437 /* openat2 */,
    439 /* faccessat2 */, 451 /* cachestat */, 452 /* fchmodat2 */,
    // memory
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_msync, SYS_mincore,
    SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_membarrier,
    SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect, 453 /* map_shadow_stack */, 462 /* mseal */,
    // processes and threads; clone is below
    SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill,
    SYS_tgkill, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_setpgid, SYS_getsid,
    SYS_setsid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid,
    SYS_getgroups, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
    SYS_setfsuid, SYS_setfsgid, SYS_capget, SYS_capset, SYS_prctl, SYS_getrlimit, SYS_setrlimit,
    SYS_getrusage, SYS_times, SYS_getpriority, SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_getparam,
    SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler, SYS_sched_getattr,
    SYS_sched_setattr, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
    SYS_sched_rr_get_interval, SYS_getcpu, SYS_set_tid_address, SYS_set_robust_list,
    SYS_get_robust_list, SYS_rseq, SYS_futex, 449 /* futex_waitv */, 454 /* futex_wake */,
    455 /* futex_wait */, 456 /* futex_requeue */, 434 /* pidfd_open */, SYS_pidfd_send_signal,
    SYS_seccomp, 444 /* landlock_create_ruleset */, 445 /* landlock_add_rule */,
    446 /* landlock_restrict_self */,
    // signals
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_sigaltstack, SYS_signalfd4,
    SYS_restart_syscall,
    // time
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_getitimer, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime,
    SYS_timer_getoverrun, SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime,
    SYS_timerfd_gettime,
    // waiting and sockets; socket, socketpair, setsockopt and connect are below
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_ppoll,
    SYS_pselect6, SYS_eventfd2, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockname,
    SYS_getpeername, SYS_getsockopt, SYS_shutdown, SYS_sendto, SYS_recvfrom, SYS_sendmsg,
    SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg,
    // the machine, as far as anybody may know it
    SYS_uname, SYS_sysinfo, SYS_getrandom};

constexpr std::uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

constexpr std::uint32_t kFail = SECCOMP_RET_ERRNO;

class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    // Numbers of another architecture mean other calls: nothing of ours makes one.
    add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
    answer(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    // x32 has numbers of its own from here on.
    add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1);
    answer(kFail | ENOSYS);
#endif
  }
  void allow(int call) { when(call, SECCOMP_RET_ALLOW); }
  /// The call is answered by `yes` when the low half of its argument, cut to `mask`, is one of
  /// `values`, else by `no`.
  void by_argument(int call, int argument, std::uint32_t mask,
                   const std::vector<std::uint32_t>& values, std::uint32_t yes, std::uint32_t no) {
    const auto tests = static_cast<std::uint8_t>(values.size());
    // Past the load, the cut, a test with its answer a value, and the last answer.
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0,
        static_cast<std::uint8_t>(3 + 2 * tests));
    load(static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                    sizeof(std::uint64_t) * static_cast<unsigned>(argument)));
    add(BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    for (const std::uint32_t value : values) {
      add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
      answer(yes);
    }
    answer(no);
  }
  [[nodiscard]] bool install() {
    answer(kFail | ENOSYS);
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
  }

 private:
  void add(int code, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    code_.push_back(sock_filter{static_cast<std::uint16_t>(code), yes, no, k});
  }
  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset), 0, 0);
  }
  void answer(std::uint32_t what) { add(BPF_RET | BPF_K, what, 0, 0); }
  void when(int call, std::uint32_t what) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
    answer(what);
  }

  std::vector<sock_filter> code_;
};

}  // namespace

bool restrict_calls(bool own_root) {
  Filter filter;
  constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
  constexpr std::uint32_t kAll = 0xffffffff;
  // Each flag of a new namespace alone is enough: what is left of the flags must be nothing. clone3
  // has them in memory, which a filter cannot read: it does not exist, and libraries use clone.
  filter.by_argument(SYS_clone, 0, kNewNamespaces, {0}, kAllow, kFail | EPERM);
  filter.by_argument(SYS_socket, 0, kAll, {AF_UNIX}, kAllow, kFail | EAFNOSUPPORT);
  filter.by_argument(SYS_socketpair, 0, kAll, {AF_UNIX}, kAllow, kFail | EAFNOSUPPORT);
  // The limits of another process: the one that counts ours, too.
  filter.by_argument(SYS_prlimit64, 0, kAll, {0}, kAllow, kFail | EPERM);
  filter.by_argument(SYS_personality, 0, kAll, {0, kAll}, kAllow, kFail | EPERM);
  // A socket holds what waits in it, and that is nobody's memory: its bound stays what the launcher
  // counts it as. The kernel cuts such wishes too.
  filter.by_argument(SYS_setsockopt, 2, kAll, {SO_SNDBUF}, kFail | 0, kAllow);
  // Words put into a terminal are read by who sits there.
  filter.by_argument(SYS_ioctl, 1, kAll, {TIOCSTI, TIOCLINUX}, kFail | EPERM, kAllow);
  for (const int call : kAllowed) filter.allow(call);
  if (own_root) filter.allow(SYS_connect);
  return filter.install();
}

}  // namespace heddle::runtime
