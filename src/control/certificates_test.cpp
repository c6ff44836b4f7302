// TLS files are no part of what is applied: which ones the data plane shows is on record.
#include "control/certificates.hpp"

#include <fmt/format.h>

#include "control/service_fixture.hpp"

namespace heddle::control {
namespace {

class CertificatesTest : public fixture::ServiceTest {
 protected:
  void SetUp() override {
    fixture::ServiceTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    Wiring wiring;
    wiring.clock = &clock_;
    core_ = std::make_unique<Control::Core>(home_->root(), wiring);
    core_->state = std::move(state_);
    core_->ledger = std::move(ledger_);
    core_->outbox = std::move(outbox_);
    core_->services["s"] = std::move(control_);
    writer_ = plane::JournalWriter::open({.dir = home_->spool("s"), .fields = {}}).value();
  }
  void TearDown() override {
    core_->services.clear();
    state_ = std::move(core_->state);
    ledger_ = std::move(core_->ledger);
    outbox_ = std::move(core_->outbox);
  }
  /// A start of the data plane.
  void start(const std::string& certificate, const std::string& client_ca = "") {
    const std::string id = fmt::format("act-{}", ++starts_);
    tell(id, certificate, client_ca);
    hear();
  }
  void tell(const std::string& id, const std::string& certificate, const std::string& client_ca) {
    writer_->append(plane::ActRecord{"certificate", certificate, 0, "", id + "-a", ""});
    writer_->append(plane::ActRecord{"client_ca", client_ca, 0, "", id, ""});
  }
  void hear() {
    ASSERT_TRUE(writer_->commit().ok());
    auto& control = *core_->services["s"];
    for (auto more = control.pump();; more = control.pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
    ASSERT_TRUE(record_certificates(*core_, "s", control).ok());
  }
  std::vector<std::string> entries() {
    std::vector<std::string> found;
    EXPECT_TRUE(core_->ledger
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             if (entry.action == "tls.files")
                               found.push_back(entry.attributes.string_or("certificate") + " " +
                                               entry.attributes.string_or("client_ca"));
                             return true;
                           })
                    .ok());
    return found;
  }

  using Lines = std::vector<std::string>;
  std::unique_ptr<Control::Core> core_;
  std::unique_ptr<plane::JournalWriter> writer_;
  int starts_ = 0;
};

TEST_F(CertificatesTest, AnotherOneIsAnEntryAndIsShown) {
  EXPECT_EQ(certificates_of(*core_, "s").value(), std::nullopt);
  start("sha256:a");
  start("sha256:a");
  EXPECT_EQ(entries(), Lines{"sha256:a "});
  start("sha256:b");
  start("sha256:b", "sha256:ca");
  start("sha256:b");
  EXPECT_EQ(entries(), (Lines{"sha256:a ", "sha256:b ", "sha256:b sha256:ca", "sha256:b "}));
  const auto shown = certificates_of(*core_, "s").value();
  ASSERT_TRUE(shown.has_value());
  EXPECT_EQ(shown->certificate, "sha256:b");
  EXPECT_EQ(shown->client_ca, "");
  EXPECT_EQ(shown->entry, *core_->ledger->size() - 1);
}

TEST_F(CertificatesTest, ExchangedAndPutBackIsTwoEntriesAndAJournalThatIsReadAgainNone) {
  start("sha256:a");
  tell("act-8", "sha256:b", "");
  tell("act-9", "sha256:a", "");
  hear();
  EXPECT_EQ(entries(), (Lines{"sha256:a ", "sha256:b ", "sha256:a "}));
  for (int i = 0; i < 2; ++i) {  // as after a crash
    tell("act-1", "sha256:a", "");
    tell("act-8", "sha256:b", "");
    tell("act-9", "sha256:a", "");
    hear();
  }
  EXPECT_EQ(entries().size(), 3U);
}

}  // namespace
}  // namespace heddle::control
