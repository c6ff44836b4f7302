#include "adapters/git/repository.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.hpp"

namespace heddle::adapters {
namespace {

/// The answer of the real git, without the newline at its end.
std::string git(const std::string& directory, const std::string& arguments) {
  const std::string command = fmt::format(
      "git -C '{}' -c user.name=Tester -c user.email=tester@example.org -c init.defaultBranch=main {} 2>&1", directory, arguments);
  FILE* pipe = ::popen(command.c_str(), "r");
  HEDDLE_CHECK(pipe != nullptr, "popen");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text.push_back(static_cast<char>(c));
  const int status = ::pclose(pipe);
  HEDDLE_CHECK(status == 0, text);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

class GitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/git.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    git(root_, "init -q");
    ASSERT_TRUE(make_dirs(root_ + "/sub").ok());
    ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "one\n").ok());
    ASSERT_TRUE(write_file_atomic(root_ + "/sub/b.txt", "two\n").ok());
    git(root_, "add -A");
    git(root_, "commit -q -m start");
    repository_ = open_git(root_).value();
  }
  std::string root_;
  std::unique_ptr<store::Git> repository_;
};

TEST_F(GitTest, ReadsWhatGitReads) {
  EXPECT_EQ(repository_->head().value(), git(root_, "rev-parse HEAD"));
  EXPECT_EQ(repository_->blob_id("one\n"), git(root_, "rev-parse HEAD:a.txt"));
  EXPECT_EQ(repository_->read("HEAD", "sub/b.txt").value(), "two\n");
  EXPECT_EQ(repository_->read("HEAD", "sub").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("HEAD", "absent").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("no-such", "a.txt").error().id, "git-revision-not-found");
}

TEST_F(GitTest, ACommitTouchesItsRefAlone) {
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited\n").ok());
  git(root_, "add a.txt");
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited again\n").ok());
  const auto status = git(root_, "status --porcelain");
  const auto head = git(root_, "rev-parse HEAD");
  const auto id = repository_->commit("refs/heads/heddle/incident-0001", "HEAD", {{"sub/c.txt", "three\n"}, {"a.txt", "1\n"}},
                                      "postmortem: what happened");
  ASSERT_TRUE(id.ok()) << id.error().str();
  EXPECT_EQ(git(root_, "status --porcelain"), status);
  EXPECT_EQ(git(root_, "rev-parse HEAD"), head);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001"), *id);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001^"), head);
  EXPECT_EQ(git(root_, "ls-tree -r --name-only heddle/incident-0001"), "a.txt\nsub/b.txt\nsub/c.txt");
  EXPECT_EQ(repository_->read("heddle/incident-0001", "a.txt").value(), "1\n");
  git(root_, "fsck --strict");
}

TEST_F(GitTest, TheSameTreeAgainIsNoNewCommit) {
  const auto first = repository_->commit("refs/heddle/checkpoints", "", {{"checkpoint", "1"}}, "one").value();
  EXPECT_EQ(repository_->commit("refs/heddle/checkpoints", "", {{"checkpoint", "1"}}, "one").value(), first);
  const auto second = repository_->commit("refs/heddle/checkpoints", "", {{"checkpoint", "2"}}, "two").value();
  EXPECT_NE(second, first);
  EXPECT_EQ(git(root_, "rev-parse refs/heddle/checkpoints^"), first);
  EXPECT_EQ(git(root_, "show refs/heddle/checkpoints:checkpoint"), "2");
  EXPECT_EQ(git(root_, "ls-tree -r --name-only refs/heddle/checkpoints"), "checkpoint");
}

TEST_F(GitTest, OtherRefsAndPathsOutsideAreRefused) {
  for (const char* ref : {"refs/heads/main", "HEAD", "refs/heads/heddle/../main", "refs/tags/v1", "refs/heads/heddle/"}) {
    EXPECT_EQ(repository_->commit(ref, "", {{"x", "y"}}, "m").error().id, "git-ref-refused") << ref;
  }
  for (const char* path : {"../x", "/x", "a//b", ".git/config", "", "a/.", "sub/.git/x"}) {
    EXPECT_EQ(repository_->commit("refs/heads/heddle/x", "", {{path, "y"}}, "m").error().id, "git-path-refused") << path;
  }
}

TEST_F(GitTest, AProjectInAFolderOfARepositoryHasItsOwnPaths) {
  const auto inner = open_git(root_ + "/sub").value();
  EXPECT_EQ(inner->read("HEAD", "b.txt").value(), "two\n");
  ASSERT_TRUE(inner->commit("refs/heads/heddle/x", "HEAD", {{"c.txt", "3"}}, "m").ok());
  EXPECT_EQ(git(root_, "show heddle/x:sub/c.txt"), "3");
}

TEST_F(GitTest, OutsideARepositoryItSaysWhatToDo) {
  std::string name = testing::TempDir() + "/nogit.XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  ::setenv("GIT_CEILING_DIRECTORIES", testing::TempDir().c_str(), 1);
  const auto opened = open_git(name);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "git-not-found");
  EXPECT_FALSE(opened.error().hint.empty());
}

TEST_F(GitTest, ARepositoryWithoutACommitSaysSo) {
  std::string name = testing::TempDir() + "/empty.XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  git(name, "init -q");
  const auto empty = open_git(name).value();
  EXPECT_EQ(empty->head().error().id, "git-no-commit");
  EXPECT_TRUE(empty->commit("refs/heddle/checkpoints", "", {{"checkpoint", "1"}}, "one").ok());
}

TEST_F(GitTest, CommitsOfManyThreadsAllLand) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(repository_->commit("refs/heads/heddle/state", "", {{fmt::format("{}-{}", t, i), "x"}}, "m").ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(git(root_, "rev-list --count heddle/state"), "20");
}

}  // namespace
}  // namespace heddle::adapters
