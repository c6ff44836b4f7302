#include <filesystem>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "jobs/jobs.hpp"

namespace heddle::jobs {
namespace {

bool is_valid(std::vector<std::string> inputs, std::vector<std::string> outputs) {
  Job job{.name = "test", .program = sha256("program"), .outputs = std::move(outputs)};
  for (auto& path : inputs) job.inputs[std::move(path)] = sha256("x");
  const auto checked = check(job);
  if (!checked.ok()) {
    EXPECT_EQ(checked.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(checked.error().id, "job-invalid");
  }
  return checked.ok();
}

TEST(Job, NamesOnlyWhatIsInItsOwnFolder) {
  EXPECT_TRUE(is_valid({}, {}));
  EXPECT_TRUE(is_valid({"a", "b/c", "b/d.e"}, {"out", "b/x", "more/"}));
  EXPECT_TRUE(is_valid({"objects/a"}, {"objects/"})) << "what is new in a folder of inputs";
  for (const char* path : {"", "/etc/passwd", "../a", "a/../b", "./a", "a/", "a//b", ".", "log"})
    EXPECT_FALSE(is_valid({path}, {})) << path;
  for (const char* path : {"", "/", "/tmp/x", "../a", "a/..", "a/./b", "log", "log/x", "log/"})
    EXPECT_FALSE(is_valid({}, {path})) << path;
}

TEST(Job, NamesEachPlaceOnce) {
  EXPECT_FALSE(is_valid({"a", "a/b"}, {}));
  EXPECT_FALSE(is_valid({"a", "a.b", "a/b"}, {}));
  EXPECT_FALSE(is_valid({"a"}, {"a"}));
  EXPECT_FALSE(is_valid({"a"}, {"a/b"}));
  EXPECT_FALSE(is_valid({"a/b"}, {"a"}));
  EXPECT_FALSE(is_valid({"a"}, {"a/"}));
  EXPECT_FALSE(check({.name = "nothing"}).ok());
}

TEST(Program, IsNamedByWhatItIsAndNotByWhereItLies) {
  const heddle::fixture::Folder folder;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const auto own = program_digest(self);
  ASSERT_TRUE(own.ok()) << own.error().str();
  std::filesystem::copy_file(self, folder.path() + "/copy");
  EXPECT_EQ(*program_digest(folder.path() + "/copy"), *own);
  EXPECT_NE(*own, *program_digest("/bin/sh"));
  // One without an identity of the linker's: its bytes.
  ASSERT_TRUE(write_file_atomic(folder.path() + "/script", "#!/bin/sh\n").ok());
  EXPECT_EQ(*program_digest(folder.path() + "/script"), sha256("#!/bin/sh\n"));
  ASSERT_TRUE(write_file_atomic(folder.path() + "/cut", read_file(self)->substr(0, 100)).ok());
  EXPECT_EQ(*program_digest(folder.path() + "/cut"), sha256(read_file(self)->substr(0, 100)));
  EXPECT_EQ(program_digest(folder.path() + "/absent").error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace heddle::jobs
