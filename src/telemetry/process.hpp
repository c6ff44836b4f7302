#pragma once

#include <string>

namespace heddle::telemetry {

/// Appends what every Prometheus client library says of its process, under those names:
/// `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
/// `process_open_fds`, `process_max_fds`, `process_start_time_seconds`. From /proc/self; what
/// cannot be read there is left out. Thread-safe.
void put_process_metrics(std::string& out);

}  // namespace heddle::telemetry
