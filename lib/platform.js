'use strict';

/**
 * The name of this platform in file and package names: `linux-x64-gnu`, `linux-x64-musl`,
 * `darwin-arm64`, `win32-x64-msvc`.
 */
function platform() {
  const { platform: system, arch } = process;
  if (system === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
  if (system === 'win32') return `win32-${arch}-msvc`;
  return `${system}-${arch}`;
}

// Only a report says which C library this process runs with. Without its network section, for
// which Node.js looks up the names of open connections.
function isMusl() {
  const { report } = process;
  if (!report) return false;
  const { excludeNetwork } = report;
  report.excludeNetwork = true;
  try {
    return !report.getReport().header.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

module.exports = { platform: platform() };
