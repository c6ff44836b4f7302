#include "control/postmortem.hpp"

#include <map>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "control/recorded.hpp"
#include "control/watched_route.hpp"
#include "control/work_inputs.hpp"
#include "doc/json.hpp"
#include "recover/stored.hpp"

namespace heddle::control {
namespace {

constexpr const char* kRequestFormat = "heddle.postmortem-request/1";
constexpr const char* kResultFormat = "heddle.postmortem/1";

/// The journal of a service up to where the request was made, and the routes there were.
class Recorded final : public recover::Recording {
 public:
  Recorded(std::string spool, const PostmortemRequest& request, std::vector<watch::Route> routes)
      : spool_(std::move(spool)), request_(request), routes_(std::move(routes)) {}

  Result<void> records(Micros from, Micros to,
                       const std::function<bool(const plane::Record&)>& sink) override {
    return read_recorded(spool_, from, to, {request_.segment, request_.offset}, sink);
  }
  std::vector<watch::Route> routes() override { return routes_; }

 private:
  std::string spool_;
  const PostmortemRequest& request_;
  std::vector<watch::Route> routes_;
};

/// As the watch knew them; many versions are of one bundle, which is read once.
Result<std::vector<watch::Route>> routes_of(store::Objects& objects,
                                            const PostmortemRequest& request) {
  std::vector<watch::Route> routes;
  stats::Task task;  // of the one before, for a bundle that cannot be read
  std::map<Digest, Result<watch::Route>> read;
  for (const auto& each : request.routes) {
    auto known = read.find(each.primary);
    if (known == read.end())
      known = read.emplace(each.primary, read_watched_route(objects, each.primary)).first;
    HEDDLE_ASSIGN_OR_RETURN(auto route,
                            watched_or_not(known->second, each.primary, each.version, task));
    task = route.task;
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace

const doc::Schema<PostmortemRequest>& PostmortemRequest::schema() {
  static const auto route = [] {
    auto t = doc::Schema<Route>::record("postmortem route", "what served from a version on");
    t.integer("version", &Route::version, "of the route table");
    t.digest("primary", &Route::primary, "the bundle").filled();
    return t;
  }();
  static const auto schema = [] {
    auto t =
        doc::Schema<PostmortemRequest>::record("postmortem request", "what a page is written from");
    t.of_format(kRequestFormat)
        .refused_as(ErrorKind::kCorrupt, "postmortem-request", "the next incident is written anew");
    t.text("service", &PostmortemRequest::service, "name").filled();
    t.text("commit", &PostmortemRequest::commit, "whose definitions count");
    t.object("incident", &PostmortemRequest::incident, recover::incident_schema(), "as it is then");
    t.objects("routes", &PostmortemRequest::routes, route, "that there were");
    t.integer("segment", &PostmortemRequest::segment, "of the journal, the last that is read");
    t.integer("offset", &PostmortemRequest::offset, "in it, the end");
    return t;
  }();
  return schema;
}

const doc::Schema<recover::Postmortem>& postmortem_schema() {
  using recover::Postmortem;
  static const auto schema = [] {
    auto t = doc::Schema<Postmortem>::record("postmortem", "what an incident leaves behind");
    t.of_format(kResultFormat)
        .refused_as(ErrorKind::kCorrupt, "postmortem-result", "the page says so");
    t.text("page", &Postmortem::page, "Markdown").filled();
    t.text("addition_file", &Postmortem::addition_file, "empty: none");
    t.text("addition_path", &Postmortem::addition_path, "where in it");
    t.text("addition", &Postmortem::addition, "YAML");
    t.value("proof", &Postmortem::proof, doc::Shape::kAny, "without and with it");
    return t;
  }();
  return schema;
}

Result<recover::Postmortem> write_postmortem(const spec::Project& project, store::Objects& objects,
                                             const std::string& spool,
                                             const PostmortemRequest& request) {
  const auto service = project.services.find(request.service);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("no service `{}`", request.service)};
  }
  const auto options = ladder_options(project, service->second);
  HEDDLE_ASSIGN_OR_RETURN(auto routes, routes_of(objects, request));
  Recorded recording(spool, request, std::move(routes));
  return recover::postmortem_of({request.incident, options.monitor, options.contract,
                                 options.fields, options.service, options.evaluation_file},
                                recording);
}

Result<void> run_postmortem(const std::string& dir, const Wiring& wiring) {
  const auto written = [&]() -> Result<recover::Postmortem> {
    HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(dir + "/" + kWorkRequest));
    HEDDLE_ASSIGN_OR_RETURN(const auto request, PostmortemRequest::schema().parse_text(text));
    HEDDLE_ASSIGN_OR_RETURN(const auto loaded, load_definitions(dir, request.commit));
    HEDDLE_ASSIGN_OR_RETURN(const auto objects, wiring.open_objects(dir + "/" + kWorkObjects));
    return write_postmortem(loaded.project, *objects, dir + "/" + kWorkJournal, request);
  }();
  const auto left =
      written.ok()
          ? postmortem_schema().print(*written)
          : doc::Value::object(
                {{"failed", fmt::format("{} ({})", written.error().message, written.error().id)}});
  HEDDLE_TRY(write_file_atomic(dir + "/" + kWorkResult, doc::to_json(left)));
  if (!written.ok()) return written.error();
  return {};
}

}  // namespace heddle::control
