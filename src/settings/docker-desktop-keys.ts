/**
 * The keys of Docker Desktop's settings file that mean nothing here.
 */

/** Keys of Docker Desktop without a meaning for an engine on a Linux host: accepted, listed and ignored. */
export const dockerDesktopKeys: readonly string[] = [
  'exposeDockerAPIOnTCP2375',
  'proxy',
  'containersProxy',
  'linuxVM',
  'windowsContainers',
  'kubernetes',
  'disableUpdate',
  'silentModulesUpdate',
  'analyticsEnabled',
  'extensionsEnabled',
  'onlyMarketplaceExtensions',
  'extensionsPrivateMarketplace',
  'extensionsPrivateMarketplaceAdminContactURL',
  'scout',
  'allowBetaFeatures',
  'allowExperimentalFeatures',
  'enableDockerAI',
  'enableDockerMCPToolkit',
  'enableInference',
  'enableInferenceTCP',
  'enableInferenceTCPPort',
  'enableInferenceCORS',
  'enableInferenceGPUVariant',
  'enableCloud',
  'useVirtualizationFrameworkVirtioFS',
  'useGrpcfuse',
  'useVirtualizationFrameworkRosetta',
  'displayedOnboarding',
  'desktopTerminalEnabled',
  'defaultNetworkingMode',
  'dnsInhibition',
];
