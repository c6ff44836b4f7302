#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/operations.hpp"

namespace heddle::control {
namespace {

/// Families of samples: each head comes once, whatever the number of services.
class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(out_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  template <class Value>
  void sample(std::string_view labels, Value value) {
    fmt::format_to(std::back_inserter(out_), "{}{}{}{} {}\n", name_, labels.empty() ? "" : "{",
                   labels, labels.empty() ? "" : "}", value);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string_view name_;
};

}  // namespace

Result<std::string> Control::metrics() {
  Text text;
  struct Scraped {
    std::string label;
    const ServiceControl* service = nullptr;
    WatchReply watch{};  ///< asked for once: it looks at every metric of the service
  };
  std::vector<Scraped> services;
  for (const auto& [name, service] : core_->services) {
    services.push_back({fmt::format("service=\"{}\"", name), service.get(), service->watched()});
  }
  const auto of_watch = [&](const auto& put) {
    for (const Scraped& each : services) put(each.label, each.watch);
  };
  const auto each = [&](const auto& put) {
    for (const Scraped& one : services) put(one.label, *one.service);
  };
  text.family("heddle_watch_rows", "gauge",
              "Rows the watch was given, by what became of them; `late`, `ahead` and `unwatched` "
              "are in no window");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    const std::pair<const char*, std::int64_t> fates[] = {{"in_windows", counts.in_windows},
                                                          {"partial", counts.partial},
                                                          {"late", counts.late},
                                                          {"ahead", counts.ahead},
                                                          {"unwatched", counts.unwatched},
                                                          {"other_release", counts.other_release}};
    for (const auto& [fate, rows] : fates)
      text.sample(fmt::format("{},fate=\"{}\"", label, fate), rows);
  });
  text.family("heddle_watch_labels_total", "counter",
              "Labels by what became of them: `forgotten` ones were of rows that never came, "
              "`unsampled` ones of rows that are not in the sample, `malformed` ones no value "
              "of the target");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    text.sample(label + ",fate=\"joined\"", counts.labels_joined);
    text.sample(label + ",fate=\"forgotten\"", counts.labels_forgotten);
    text.sample(label + ",fate=\"unsampled\"", counts.labels_unsampled);
    text.sample(label + ",fate=\"malformed\"", counts.labels_malformed);
    text.sample(label + ",fate=\"unknown_class\"", counts.labels_unknown_class);
  });
  text.family("heddle_watch_labels_waiting", "gauge", "Labels whose row is not known so far");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    text.sample(label, counts.labels_waiting);
  });
  text.family("heddle_watch_labels_given_up_total", "counter",
              "Labels of unknown rows that gave way to newer ones of their account");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    for (const auto& [account, count] : counts.labels_given_up)
      text.sample(fmt::format("{},account=\"{}\"", label, account), count);
  });
  text.family("heddle_watch_sample_ratio", "gauge",
              "Share of the rows that come now which is kept for its label");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    text.sample(label, counts.sample);
  });
  text.family("heddle_watch_unrecorded_total", "counter",
              "Requests and labels that were answered and are not in the journal, by account");
  of_watch([&](const std::string& label, const WatchReply& counts) {
    for (const auto& [account, lost] : counts.unrecorded) {
      const std::pair<const char*, std::int64_t> kinds[] = {{"requests", lost.requests},
                                                            {"labels", lost.labels}};
      for (const auto& [kind, count] : kinds)
        text.sample(fmt::format("{},account=\"{}\",kind=\"{}\"", label, account, kind), count);
    }
  });
  text.family("heddle_watermark_seconds", "gauge",
              "Event time up to which every decision is finished");
  each([&](const std::string& label, const ServiceControl& service) {
    // Before the first tick there is none, and no number would be true.
    if (service.watermark() != INT64_MIN)
      text.sample(label, static_cast<double>(service.watermark()) * 1e-6);
  });
  text.family("heddle_route_decided", "gauge", "Version of the newest route table");
  each([&](const std::string& label, const ServiceControl& service) {
    text.sample(label, service.releases().version());
  });
  text.family("heddle_incidents_open", "gauge", "Incidents that are not closed");
  each([&](const std::string& label, const ServiceControl& service) {
    const auto& incidents = service.ladder().incidents();
    text.sample(label, std::count_if(incidents.begin(), incidents.end(),
                                     [](const auto& incident) { return incident.open(); }));
  });
  text.family("heddle_service_locked", "gauge",
              "1: its state, journal or route cannot be read, so that nothing of it is decided");
  for (const auto& [name, unused] : core_->running.services) {
    // A service that was opened again stays in the list
    // of locks until it has read past what it failed at.
    const bool is_locked = core_->locked.contains(name) && !core_->services.contains(name);
    text.sample(fmt::format("service=\"{}\"", name), is_locked ? 1 : 0);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto approvals, core_->policy->open_approvals());
  text.family("heddle_approvals_pending", "gauge", "Approvals that wait for a person");
  text.sample("", std::count_if(approvals.begin(), approvals.end(), [](const auto& approval) {
                return approval.status == policy::Approval::Status::kPending;
              }));
  return text.take();
}

}  // namespace heddle::control
