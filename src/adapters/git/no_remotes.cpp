/// What libgit2 would take from libraries for remotes over HTTP and SSH. Heddle talks to no remote:
/// with these in the program, the linker leaves those parts of libgit2's archive out, and with them
/// TLS, SSH and Kerberos libraries that no command opens (cmake/HeddleLibraries.cmake). The names
/// are those of libgit2 1.5; each says that there are no remotes, should anything come here.
#include <git2.h>
#include <git2/sys/stream.h>
#include <git2/sys/transport.h>

namespace {

int no_remotes() {
  git_error_set_str(GIT_ERROR_NET, "this program talks to no remote of a git repository");
  return GIT_ENOTFOUND;
}

}  // namespace

extern "C" {

// Set by an option that nobody sets.
extern bool git_http__expect_continue;
bool git_http__expect_continue = false;

int git_transport_ssh_global_init() { return 0; }
int git_mbedtls_stream_global_init() { return 0; }
int git_mbedtls__set_cert_location(const char*, const char*) { return no_remotes(); }
int git_mbedtls_stream_new(git_stream**, const char*, const char*) { return no_remotes(); }
int git_mbedtls_stream_wrap(git_stream**, git_stream*, const char*) { return no_remotes(); }

int git_smart_subtransport_http(git_smart_subtransport**, git_transport*, void*) {
  return no_remotes();
}
int git_smart_subtransport_ssh(git_smart_subtransport**, git_transport*, void*) {
  return no_remotes();
}
}
