#include "spec/check_services.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "spec/never.hpp"

namespace heddle::spec {
namespace {

/// What a policy says beside its rules, that only one policy may say of a service.
constexpr std::pair<std::string_view, std::string_view> kSections[] = {
    {"failover", ""},
    {"recovery", "retrain"},
    {"recovery", "recalibrate"},
    {"recovery", "quarantine"},
};

const doc::Value* section_of(const Policy& policy, std::string_view section,
                             std::string_view part) {
  const doc::Value* value = policy.identity.content.find(section);
  return value == nullptr || part.empty() ? value : value->find(part);
}

class ServicesCheck {
 public:
  ServicesCheck(const Project& project, std::vector<doc::Diagnostic>& out)
      : project_(project), out_(out) {
    // First, so that a clash with it is reported at the service, whose port is the one to change.
    listeners_.push_back({"control_port", nullptr, "127.0.0.1", project.control_port});
  }

  void run() {
    for (const auto& [name, service] : project_.services) {
      ports(service);
      monitor(service);
      baseline(service);
    }
    for (const auto& [name, policy] : project_.policies) known(policy);
    for (const auto& [name, service] : project_.services) policies(service);
    // Of policies that could not be read that is said.
    const bool is_unread = std::any_of(out_.begin(), out_.end(), [](const doc::Diagnostic& each) {
      return each.file.starts_with("policies");
    });
    if (project_.policies.empty() && !project_.services.empty() && !is_unread) {
      add("heddle.yaml", {1, 1}, "no-policy",
          "the project has no policy: every act is denied (`default-deny`), a release too",
          "add a Policy under `policies/`; `heddle schema Policy` has its keys");
      out_.back().severity = doc::Severity::kWarning;
    }
  }

 private:
  /// Where somebody listens; 0 is any free port, and no gRPC has none.
  struct Listener {
    std::string_view key;
    const Service* service = nullptr;  ///< nullptr: the control plane
    std::string_view host;
    int port = 0;

    [[nodiscard]] bool collides(const Listener& other) const {
      // Hosts are IPv4 addresses or `localhost` (`bad-host`), so that their texts can be compared.
      const auto everywhere = [](std::string_view name) { return name == "0.0.0.0"; };
      const auto same = [](std::string_view a, std::string_view b) {
        constexpr std::string_view kLocal = "localhost";
        return (a == kLocal ? "127.0.0.1" : a) == (b == kLocal ? "127.0.0.1" : b);
      };
      return port > 0 && port == other.port &&
             (same(host, other.host) || everywhere(host) || everywhere(other.host));
    }
  };

  void ports(const Service& service) {
    for (const Listener& mine :
         {Listener{"port", &service, service.host, service.port},
          Listener{"grpc_port", &service, service.host, service.grpc_port}}) {
      // One that was refused has the default in its place, which nobody asked for.
      const doc::Value* written = service.identity.content.find(mine.key);
      if (written != nullptr && *written != doc::Value(mine.port)) continue;
      for (const Listener& other : listeners_) {
        if (mine.collides(other)) port_in_use(mine, other);
      }
      listeners_.push_back(mine);
    }
  }

  void port_in_use(const Listener& mine, const Listener& other) {
    std::string message;
    if (other.service == nullptr) {
      message = fmt::format("port {} is the control plane's", mine.port);
    } else if (other.service == mine.service) {
      message = fmt::format("`port` and `grpc_port` are both {}", mine.port);
    } else {
      message = fmt::format("port {} is the `{}` of service `{}` too", mine.port, other.key,
                            other.service->identity.name);
    }
    const Service& service = *mine.service;
    // A default that collides stands nowhere in the file: the hint says which key to write.
    const bool written = service.identity.content.find(mine.key) != nullptr;
    add(service.identity.file, position_of(service.identity.content, mine.key), "port-in-use",
        std::move(message),
        written ? "each listens on a port of its own: choose another one"
                : fmt::format("`{}` is {} where it is not written: write another one", mine.key,
                              mine.port));
  }

  void monitor(const Service& service) {
    const auto found = project_.monitors.find(service.monitor);
    if (found == project_.monitors.end()) return;  // `unknown-name` says it
    const Monitor& monitor = found->second;
    // A monitor of a service that does not exist has its own finding, `unknown-name`.
    if (monitor.service == service.identity.name || !project_.services.contains(monitor.service))
      return;
    add(service.identity.file, position_of(service.identity.content, "monitor"),
        "monitor-of-another",
        fmt::format("monitor `{}` is of service `{}`", service.monitor, monitor.service),
        fmt::format("write a Monitor of its own for `{}`: thresholds, rules and notifications are "
                    "of one service",
                    service.identity.name));
  }

  /// A model's baseline is made for one monitor, that of the last of its services by name
  /// (flow::Definitions); others find in it what they share with that one.
  void baseline(const Service& service) {
    const Service* last = nullptr;
    for (const auto& [name, other] : project_.services) {
      if (other.model == service.model && project_.monitors.contains(other.monitor)) last = &other;
    }
    const auto mine = project_.monitors.find(service.monitor);
    if (last == nullptr || last == &service || mine == project_.monitors.end()) return;
    const Monitor& theirs = project_.monitors.at(last->monitor);
    const auto differs = [&](std::string_view key) {
      if (key == "window") return mine->second.window != theirs.window;
      if (key == "window_rows") return mine->second.window_rows != theirs.window_rows;
      const doc::Value* one = mine->second.identity.content.find(key);
      const doc::Value* other = theirs.identity.content.find(key);
      return (one == nullptr) != (other == nullptr) || (one != nullptr && !(*one == *other));
    };
    for (const char* key : {"distributions", "quality", "window", "window_rows"}) {
      if (!differs(key)) continue;
      const doc::Value* one = mine->second.identity.content.find(key);
      add(mine->second.identity.file,
          one != nullptr ? one->position() : mine->second.identity.content.position(),
          "baseline-of-another",
          fmt::format("the baseline of model `{}` is made for monitor `{}` of service `{}`, whose "
                      "`{}` is another than this one's",
                      service.model, last->monitor, last->identity.name, key),
          fmt::format("write the same `{}` in both, or give service `{}` a model of its own", key,
                      service.identity.name));
      out_.back().severity = doc::Severity::kWarning;
    }
  }

  void known(const Policy& policy) {
    const doc::Value* list = policy.identity.content.find("services");
    for (std::size_t i = 0; i < policy.services.size(); ++i) {
      if (project_.services.contains(policy.services[i])) continue;
      // One name may stand as a text instead of a list: then the list's place is the name's.
      const bool listed = list != nullptr && list->is_array() && i < list->as_array().size();
      add(policy.identity.file,
          listed ? list->as_array()[i].position()
                 : position_of(policy.identity.content, "services"),
          "unknown-name", fmt::format("there is no service `{}`", policy.services[i]),
          "name a Service of the project, or leave `services` out: the policy is for all then");
    }
  }

  void policies(const Service& service) {
    for (const auto& [section, part] : kSections) {
      // Rules of several policies are weighed together, these sections are not: two would leave
      // open which of them counts.
      const Policy* first = nullptr;
      for (const auto& [name, policy] : project_.policies) {
        const doc::Value* said = section_of(policy, section, part);
        if (said == nullptr || !policy.is_for(service.identity.name)) continue;
        if (first == nullptr) {
          first = &policy;
          continue;
        }
        const std::string key =
            part.empty() ? std::string(section) : fmt::format("{}.{}", section, part);
        add(policy.identity.file, said->position(), "policies-disagree",
            fmt::format("`{}` of service `{}` is in policy `{}` too", key, service.identity.name,
                        first->identity.name),
            "leave it to one of them, or say with `services` which policy is for which service");
      }
    }
  }

  void add(const std::string& file, doc::Position position, std::string id, std::string message,
           std::string hint) {
    doc::Diagnostic diagnostic;
    diagnostic.id = std::move(id);
    diagnostic.message = std::move(message);
    diagnostic.file = file;
    diagnostic.position = position;
    diagnostic.hint = std::move(hint);
    out_.push_back(std::move(diagnostic));
  }

  const Project& project_;
  std::vector<doc::Diagnostic>& out_;
  std::vector<Listener> listeners_;
};

}  // namespace

void check_services(const Project& project, std::vector<doc::Diagnostic>& out) {
  ServicesCheck(project, out).run();
}

}  // namespace heddle::spec
