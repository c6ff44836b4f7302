#include "adapters/git/repository.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "store/git_conformance.hpp"

namespace heddle::adapters {
namespace {

/// The answer of the real git, without the newline at its end.
std::string git(const std::string& directory, const std::string& arguments) {
  const std::string command = fmt::format(
      "git -C '{}' -c user.name=Tester -c user.email=tester@example.org -c init.defaultBranch=main "
      "{} 2>&1",
      directory, arguments);
  FILE* pipe = ::popen(command.c_str(), "r");
  HEDDLE_CHECK(pipe != nullptr, "popen");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
    text.push_back(static_cast<char>(c));
  const int status = ::pclose(pipe);
  HEDDLE_CHECK(status == 0, text);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::unique_ptr<store::Git> make_repository(const std::string& directory,
                                            const std::vector<store::Git::File>& files) {
  git(directory, "init -q");
  for (const auto& file : files) {
    const std::string path = directory + "/" + file.path;
    HEDDLE_CHECK(make_dirs(path.substr(0, path.rfind('/'))).ok(), path);
    HEDDLE_CHECK(write_file_atomic(path, file.bytes).ok(), path);
  }
  if (!files.empty()) {
    git(directory, "add -A");
    git(directory, "commit -q -m start");
  }
  return open_git(directory).value();
}

class GitTest : public testing::Test {
 protected:
  void SetUp() override {
    repository_ = make_repository(root_, {{"a.txt", "one\n"}, {"sub/b.txt", "two\n"}});
  }
  heddle::fixture::Folder folder_;
  const std::string& root_ = folder_.path();
  std::unique_ptr<store::Git> repository_;
};

TEST_F(GitTest, ReadsWhatGitReads) {
  EXPECT_EQ(repository_->head().value(), git(root_, "rev-parse HEAD"));
  EXPECT_EQ(repository_->blob_id("one\n"), git(root_, "rev-parse HEAD:a.txt"));
  EXPECT_EQ(repository_->find("HEAD", "sub")->id, git(root_, "rev-parse HEAD:sub"));
}

TEST_F(GitTest, ACommitTouchesItsRefAlone) {
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited\n").ok());
  git(root_, "add a.txt");
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited again\n").ok());
  const auto status = git(root_, "status --porcelain");
  const auto head = git(root_, "rev-parse HEAD");
  const auto id = repository_->commit("refs/heads/heddle/incident-0001", "HEAD",
                                      {{"sub/c.txt", "three\n"}, {"a.txt", "1\n"}},
                                      "postmortem: what happened");
  ASSERT_TRUE(id.ok()) << id.error().str();
  EXPECT_EQ(git(root_, "status --porcelain"), status);
  EXPECT_EQ(git(root_, "rev-parse HEAD"), head);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001"), *id);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001^"), head);
  EXPECT_EQ(git(root_, "ls-tree -r --name-only heddle/incident-0001"),
            "a.txt\nsub/b.txt\nsub/c.txt");
  EXPECT_EQ(repository_->read("heddle/incident-0001", "a.txt").value(), "1\n");
  git(root_, "fsck --strict");
}

TEST_F(GitTest, AProjectInAFolderOfARepositoryHasItsOwnPaths) {
  const auto inner = open_git(root_ + "/sub").value();
  EXPECT_EQ(inner->read("HEAD", "b.txt").value(), "two\n");
  ASSERT_TRUE(inner->commit("refs/heads/heddle/x", "HEAD", {{"c.txt", "3"}}, "m").ok());
  EXPECT_EQ(git(root_, "show heddle/x:sub/c.txt"), "3");
}

TEST_F(GitTest, OutsideARepositoryItSaysWhatToDo) {
  const heddle::fixture::Folder elsewhere;
  ::setenv("GIT_CEILING_DIRECTORIES", testing::TempDir().c_str(), 1);
  const auto opened = open_git(elsewhere.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "git-not-found");
  EXPECT_FALSE(opened.error().hint.empty());
}

using Kind = store::Git::Entry::Kind;

TEST_F(GitTest, FollowsLinksAsFarAsTheCommitGoes) {
  // What `cat` prints in a checkout is what is read: the reference is the file system's own way
  // with links.
  git(root_, "rm -q --cached a.txt");
  const std::string link =
      "cd '" + root_ +
      "' && ln -s sub/b.txt direct && ln -s sub folder && mkdir deep && "
      "ln -s ../folder/b.txt deep/up && ln -s deep/../folder/./b.txt winding && "
      "ln -s /etc/hostname absolute && ln -s ../outside above && ln -s circle circle && "
      "ln -s nothing dangling";
  ASSERT_EQ(std::system(link.c_str()), 0);
  git(root_, "add -A");
  git(root_, "commit -q -m links");
  for (const char* path :
       {"direct", "folder/b.txt", "deep/up", "winding", "sub/../sub/b.txt", "./sub/b.txt"}) {
    const auto text = repository_->read("HEAD", path);
    ASSERT_TRUE(text.ok()) << path << ": " << text.error().str();
    EXPECT_EQ(*text, "two\n") << path;
  }
  EXPECT_EQ(repository_->read("HEAD", "absolute").error().id, "git-link-outside");
  EXPECT_EQ(repository_->read("HEAD", "above").error().id, "git-link-outside");
  EXPECT_EQ(repository_->read("HEAD", "circle").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("HEAD", "dangling").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("HEAD", "../outside").error().id, "git-file-not-found");
  const auto listed = repository_->list("HEAD", "folder");
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().name, "b.txt");
  EXPECT_TRUE(repository_->list("HEAD", "no-such")->empty());
  EXPECT_EQ(repository_->find("HEAD", "folder")->kind, Kind::kFolder);
}

TEST_F(GitTest, ASubmoduleHidesItsFiles) {
  const std::string other = root_ + "/other";
  ASSERT_TRUE(make_dirs(other).ok());
  git(other, "init -q");
  ASSERT_TRUE(write_file_atomic(other + "/x.yaml", "x\n").ok());
  git(other, "add -A");
  git(other, "commit -q -m other");
  git(root_, "-c advice.addEmbeddedRepo=false add other");
  git(root_, "commit -q -m submodule");
  EXPECT_EQ(repository_->read("HEAD", "other/x.yaml").error().id, "git-submodule");
  EXPECT_EQ(repository_->list("HEAD", "other").error().id, "git-submodule");
}

TEST_F(GitTest, AProjectBelowTheTopNamesItsOwnPaths) {
  const auto below = open_git(root_ + "/sub").value();
  EXPECT_EQ(*below->read("HEAD", "b.txt"), "two\n");
  EXPECT_EQ(*below->read("HEAD", "../a.txt"), "one\n");
  EXPECT_EQ(below->list("HEAD", "")->front().name, "b.txt");
  EXPECT_TRUE(*below->same_on_disk(git(root_, "rev-parse HEAD:sub/b.txt"), "b.txt"));
}

TEST_F(GitTest, AFileIsTheSameByGitsOwnFilters) {
  ASSERT_TRUE(
      write_file_atomic(root_ + "/.gitattributes", "crlf.txt text eol=crlf\n*.bin filter=lfs\n")
          .ok());
  ASSERT_TRUE(write_file_atomic(root_ + "/crlf.txt", "a\r\nb\r\n").ok());
  // A pointer as Git LFS writes it: the commit holds it, the work tree holds the content.
  const std::string content = "large\n";
  ASSERT_TRUE(
      write_file_atomic(root_ + "/model.bin",
                        fmt::format("version https://git-lfs.github.com/spec/v1\noid {}\nsize {}\n",
                                    sha256(content).str(), content.size()))
          .ok());
  git(root_, "-c filter.lfs.clean=cat -c filter.lfs.smudge=cat add -A");
  git(root_, "-c filter.lfs.clean=cat commit -q -m attributes");
  const auto blob = [&](const char* path) {
    return git(root_, std::string("rev-parse HEAD:") + path);
  };
  EXPECT_EQ(*repository_->read("HEAD", "crlf.txt"), "a\nb\n");
  EXPECT_TRUE(*repository_->same_on_disk(blob("crlf.txt"), "crlf.txt"));
  ASSERT_TRUE(write_file_atomic(root_ + "/model.bin", content).ok());
  EXPECT_TRUE(*repository_->same_on_disk(blob("model.bin"), "model.bin"));
  ASSERT_TRUE(write_file_atomic(root_ + "/model.bin", "other\n").ok());
  EXPECT_FALSE(*repository_->same_on_disk(blob("model.bin"), "model.bin"));
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "One\n").ok());
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "a.txt"));
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "gone.txt"));
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "sub"));
}

TEST_F(GitTest, AnObjectThatWasCutShortIsAnError) {
  const auto head = git(root_, "rev-parse HEAD");
  for (const char* what : {"HEAD:a.txt", "HEAD:sub", "HEAD^{tree}", "HEAD"}) {
    const auto id = git(root_, std::string("rev-parse ") + what);
    const auto file = root_ + "/.git/objects/" + id.substr(0, 2) + "/" + id.substr(2);
    const auto whole = read_file(file).value();
    for (const std::size_t length : {whole.size() - 1, whole.size() / 2, std::size_t{0}}) {
      ASSERT_TRUE(write_file_atomic(file, whole.substr(0, length)).ok());
      const auto reopened = open_git(root_).value();  // without what it has read already
      const auto read =
          reopened->read(head, std::string_view(what) == "HEAD:sub" ? "sub/b.txt" : "a.txt");
      EXPECT_FALSE(read.ok()) << what << " of " << length;
    }
    ASSERT_TRUE(write_file_atomic(file, whole).ok());
  }
  EXPECT_EQ(open_git(root_).value()->read(head, "sub/b.txt").value(), "two\n");
}

TEST_F(GitTest, ARefThatIsThereAndCannotBeReadIsNotMissing) {
  const std::string ref = "refs/heddle/anchor/x";
  const auto one = repository_->commit(ref, "", {{"checkpoint", "1"}}, "one").value();
  const auto two = repository_->commit(ref, "", {{"checkpoint", "2"}}, "two").value();
  EXPECT_EQ(repository_->resolve("refs/heddle/anchor/y").error().kind, ErrorKind::kNotFound);
  git(root_, "update-ref " + ref + " " + one);
  const auto moved = open_git(root_).value();
  EXPECT_EQ(*moved->resolve(ref), one);
  EXPECT_EQ(*moved->resolve(ref + "@{1}"), two) << "where it stood before it was moved by hand";
  ASSERT_TRUE(write_file_atomic(root_ + "/.git/" + ref, std::string(40, 'a') + "\n").ok());
  EXPECT_EQ(open_git(root_).value()->resolve(ref).error().kind, ErrorKind::kIo);
  ASSERT_TRUE(write_file_atomic(root_ + "/.git/" + ref, "x\n").ok());
  EXPECT_EQ(open_git(root_).value()->resolve(ref).error().kind, ErrorKind::kIo);
}

TEST_F(GitTest, WhatIsKeptOutlivesItsBranch) {
  const auto first = *repository_->head();
  ASSERT_TRUE(repository_->keep("refs/heddle/applied/" + first, first).ok());
  ASSERT_TRUE(repository_->keep("refs/heddle/applied/" + first, first).ok()) << "twice is once";
  EXPECT_EQ(repository_->keep("refs/heads/main", first).error().id, "git-ref-refused");
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "amended\n").ok());
  git(root_, "commit -q -a --amend -m amended");
  git(root_, "reflog expire --expire=now --all");
  git(root_, "gc -q --prune=now");
  EXPECT_EQ(*repository_->read(first, "a.txt"), "one\n");
  EXPECT_EQ(*repository_->resolve("HEAD"), git(root_, "rev-parse HEAD"));
  EXPECT_EQ(repository_->resolve("HEAD~5").error().id, "git-revision-not-found");
}

}  // namespace

}  // namespace heddle::adapters

namespace heddle::store {

INSTANTIATE_TEST_SUITE_P(Libgit2, GitConformance, testing::Values(adapters::make_repository));

}  // namespace heddle::store
