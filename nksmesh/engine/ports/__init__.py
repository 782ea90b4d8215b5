"""What commands and the engine need of the outside world. The adapters satisfy these; tests may stand others in."""

from nksmesh.engine.ports.bundles import Bundle, Bundles
from nksmesh.engine.ports.charts import Archives, Charts, LockFile
from nksmesh.engine.ports.cluster import Cluster, Histories, Lease, Records, Storage
from nksmesh.engine.ports.forwarding import Connection, LocalPorts
from nksmesh.engine.ports.helm import Helm, Processes
from nksmesh.engine.ports.istioctl import IstioctlCache, IstioctlProgram, IstioReleases
from nksmesh.engine.ports.mesh_files import MeshFiles
from nksmesh.engine.ports.objects import Live, Objects, Pods
from nksmesh.engine.ports.pages import Pages
from nksmesh.engine.ports.registries import ImageReader, LoginProof, Registries, Registry, RegistryAccess, StoredLogins

__all__ = [
    "Archives",
    "Bundle",
    "Bundles",
    "Charts",
    "Cluster",
    "Connection",
    "Helm",
    "Histories",
    "ImageReader",
    "IstioReleases",
    "IstioctlCache",
    "IstioctlProgram",
    "Lease",
    "Live",
    "LocalPorts",
    "LockFile",
    "LoginProof",
    "MeshFiles",
    "Objects",
    "Pages",
    "Pods",
    "Processes",
    "Records",
    "Registries",
    "Registry",
    "RegistryAccess",
    "Storage",
    "StoredLogins",
]
