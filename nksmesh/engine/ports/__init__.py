"""What commands and the engine need of the outside world. The adapters satisfy these; tests may stand others in."""

from nksmesh.engine.ports.charts import Charts
from nksmesh.engine.ports.cluster import Cluster
from nksmesh.engine.ports.helm import Helm
from nksmesh.engine.ports.histories import Histories
from nksmesh.engine.ports.lease import Lease
from nksmesh.engine.ports.live import Live
from nksmesh.engine.ports.lock_file import LockFile
from nksmesh.engine.ports.mesh_files import MeshFiles
from nksmesh.engine.ports.objects import Objects
from nksmesh.engine.ports.processes import Processes
from nksmesh.engine.ports.records import Records
from nksmesh.engine.ports.storage import Storage

__all__ = [
    "Charts",
    "Cluster",
    "Helm",
    "Histories",
    "Lease",
    "Live",
    "LockFile",
    "MeshFiles",
    "Objects",
    "Processes",
    "Records",
    "Storage",
]
